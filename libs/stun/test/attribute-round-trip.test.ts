import { Attr, type AttributeType, attribute, encodeMessage, MessageClass, Method } from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytes, names, values } from "./arbitraries.ts";
import { decoded } from "./support.ts";

describe("every attribute of the table comes back as it was written", () => {
  it.each(names)("%s", (name) => {
    const type: AttributeType<unknown> = Attr[name];
    const value: fc.Arbitrary<unknown> = values[name];
    fc.assert(
      fc.property(value, bytes(12, 12), (sent, transactionId) => {
        const message = decoded(
          encodeMessage({
            method: Method.Binding,
            class: MessageClass.Request,
            transactionId,
            attributes: [attribute(type, sent)],
          }),
        );
        expect(message.get(type)).toEqual(sent);
        expect(message.getAll(type)).toEqual([sent]);
        expect(message.has(type)).toBe(true);
        expect(message.types).toEqual([type.type]);
        expect(message.malformed).toEqual([]);
        expect(message.unknownRequired).toEqual([]);
      }),
    );
  });
});
