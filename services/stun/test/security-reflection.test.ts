import dgram from "node:dgram";
import { once } from "node:events";
import { Attr, attribute, type EncodedAttribute } from "@culvert/stun";
import { expect, test } from "vitest";
import { at, bindingRequest, later, onEachDataPlane } from "./harness.ts";

onEachDataPlane((startStun) => {
  /** IPv4 and UDP. */
  const HEADERS = 28;

  /** What anybody can send, from an address that need not be theirs. */
  const QUESTIONS: Readonly<
    Record<string, { readonly attributes?: readonly EncodedAttribute[]; readonly legacy?: true }>
  > = {
    "as short as can be": {},
    "of RFC 3489": { legacy: true },
    "CHANGE-REQUEST": { attributes: [attribute(Attr.ChangeRequest, { changeIp: true, changePort: true })] },
    "little PADDING": { attributes: [attribute(Attr.Padding, new Uint8Array(1))] },
    "much PADDING": { attributes: [attribute(Attr.Padding, new Uint8Array(1400))] },
    "an unknown attribute": { attributes: [attribute(Attr.Lifetime, 1)] },
    FINGERPRINT: { attributes: [attribute(Attr.Software, "who are you?")] },
  };

  test("an answer is little longer than its question, comes once, and does not tell SOFTWARE", async () => {
    const stun = await startStun({ alternate: { port: 0, ips: ["127.0.0.2"] } });
    const server = at(stun.info, 0);
    const socket = dgram.createSocket("udp4");
    later(() => new Promise<void>((resolve) => socket.close(() => resolve())));
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    const received: Buffer[] = [];
    socket.on("message", (message) => void received.push(message));
    const ratios: Record<string, number> = {};
    for (const [name, { attributes = [], legacy = false }] of Object.entries(QUESTIONS)) {
      const question = bindingRequest(attributes, legacy);
      socket.send(question, server.port, server.ip);
      await once(socket, "message");
      const [answer] = received.splice(0);
      if (answer === undefined) throw new Error("no answer");
      expect(answer.includes("culvert"), name).toBe(false);
      ratios[name] = (answer.length + HEADERS) / (question.length + HEADERS);
    }
    const worst = Math.max(...Object.values(ratios));
    console.info(`reflection, bytes of IP out over bytes in: at most ${worst.toFixed(2)}`, ratios);
    expect(worst).toBeLessThan(2);
    expect(received).toEqual([]);
  });
});
