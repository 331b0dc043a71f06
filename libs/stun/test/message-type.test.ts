import { classOf, encodeMessage, MessageClass, Method, messageType, methodOf } from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { messageClass, method } from "./arbitraries.ts";
import { decoded, TRANSACTION_ID } from "./support.ts";

describe("class and method share 14 bits", () => {
  it.each([
    [Method.Binding, MessageClass.Request, 0x0001],
    [Method.Binding, MessageClass.Success, 0x0101],
    [Method.Binding, MessageClass.Error, 0x0111],
    [Method.Allocate, MessageClass.Request, 0x0003],
    [Method.Send, MessageClass.Indication, 0x0016],
    [Method.Data, MessageClass.Indication, 0x0017],
    [Method.ChannelBind, MessageClass.Error, 0x0119],
    [0xfff, MessageClass.Error, 0x3fff],
  ])("method %i, class %i is %i", (method, messageClass, type) => {
    expect(messageType(method, messageClass)).toBe(type);
  });

  it("and both come back from a message, whatever they are", () => {
    fc.assert(
      fc.property(method, messageClass, (method, messageClass) => {
        const type = messageType(method, messageClass);
        expect(type).toBeLessThanOrEqual(0x3fff);
        expect([methodOf(type), classOf(type)]).toEqual([method, messageClass]);
        const message = decoded(encodeMessage({ method, class: messageClass, transactionId: TRANSACTION_ID }));
        expect([message.method, message.class]).toEqual([method, messageClass]);
      }),
    );
  });
});
