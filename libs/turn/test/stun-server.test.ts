import {
  Attr,
  attribute,
  type EncodedAttribute,
  encodeMessage,
  MessageClass,
  Method,
  rawAttribute,
} from "@culvert/stun";
import { mustDecode, outcomeOf, seededRandom } from "@culvert/testkit";
import { type StunListenerConfig, type StunOutput, StunServer, type StunServerConfig } from "@culvert/turn";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const A = "9.1.1.1";
const B = "9.1.1.2";
const CLIENT = { ip: "8.8.8.8", port: 4000 };
const CLIENT6 = { ip: "2600::8", port: 4000 };
const NOW = Date.UTC(2026, 0, 1);

const udp = (id: number, ip: string, port: number, place: Partial<StunListenerConfig> = {}): StunListenerConfig => ({
  id,
  transport: "udp",
  address: { ip, port },
  ...place,
});
const FOUR = [
  udp(1, A, 3478),
  udp(2, A, 3479, { alternatePort: true }),
  udp(3, B, 3478, { alternateIp: true }),
  udp(4, B, 3479, { alternateIp: true, alternatePort: true }),
];
const ONE_IP = FOUR.slice(0, 2);

const server = (config: Partial<StunServerConfig> = {}) =>
  new StunServer({ listeners: FOUR, ...config }, { random: seededRandom(1) });

const binding = (attributes: readonly EncodedAttribute[] = [], legacy = false): Uint8Array =>
  encodeMessage({
    method: Method.Binding,
    class: MessageClass.Request,
    transactionId: new Uint8Array(legacy ? 16 : 12).fill(3),
    attributes,
    legacy,
  });
const change = (changeIp: boolean, changePort: boolean) => attribute(Attr.ChangeRequest, { changeIp, changePort });

function ask(stun: StunServer, attributes: readonly EncodedAttribute[] = [], listener = 1, remote = CLIENT) {
  const outputs = stun.handleClientInput({ listener, remote }, binding(attributes), NOW);
  const sent = outputs.find((output): output is Extract<StunOutput, { type: "send" }> => output.type === "send");
  const partner = outputs.find(
    (output): output is Extract<StunOutput, { type: "ask-partner" }> => output.type === "ask-partner",
  );
  const bytes = sent?.bytes ?? partner?.datagram;
  const message = bytes === undefined ? undefined : mustDecode(bytes);
  return { outputs, sent, partner, message, outcome: message === undefined ? "none" : outcomeOf(message) };
}
const dropOf = (outputs: readonly StunOutput[]) =>
  outputs.flatMap((output) => (output.type === "event" && output.name === "dropped" ? [output.reason] : []));

describe("Binding", () => {
  it("is answered from where it came to, with the reflexive and the other address", () => {
    const { sent, message, outputs } = ask(server());
    expect(sent?.client).toEqual({ listener: 1, remote: CLIENT });
    expect(message?.get(Attr.XorMappedAddress)).toEqual(CLIENT);
    expect(message?.get(Attr.ResponseOrigin)).toEqual({ ip: A, port: 3478 });
    expect(message?.get(Attr.OtherAddress)).toEqual({ ip: B, port: 3479 });
    expect(message?.has(Attr.Software)).toBe(false);
    expect(outputs.at(-1)).toEqual({ type: "event", name: "request", method: Method.Binding, transport: "udp" });
  });

  it("at each place names the place across", () => {
    const others = [1, 2, 3, 4].map((listener) => ask(server(), [], listener).message?.get(Attr.OtherAddress));
    expect(others).toEqual([
      { ip: B, port: 3479 },
      { ip: B, port: 3478 },
      { ip: A, port: 3479 },
      { ip: A, port: 3478 },
    ]);
  });

  it("without another address says only what it knows", () => {
    const { message } = ask(server({ listeners: [udp(1, A, 3478)] }));
    expect(message?.types).toEqual([Attr.XorMappedAddress.type]);
  });

  it("tells advertised addresses", () => {
    const listeners = FOUR.map((listener) => ({
      ...listener,
      advertised: { ip: listener.address.ip.replace("9.1.1.", "9.2.2."), port: listener.address.port },
    }));
    const { message } = ask(server({ listeners }));
    expect(message?.get(Attr.ResponseOrigin)).toEqual({ ip: "9.2.2.1", port: 3478 });
    expect(message?.get(Attr.OtherAddress)).toEqual({ ip: "9.2.2.2", port: 3479 });
  });

  it("gets FINGERPRINT back", () => {
    const bytes = encodeMessage({
      method: Method.Binding,
      class: MessageClass.Request,
      transactionId: new Uint8Array(12),
      fingerprint: true,
    });
    const [output] = server().handleClientInput({ listener: 1, remote: CLIENT }, bytes, NOW);
    expect(output?.type === "send" && mustDecode(output.bytes).has(Attr.Fingerprint)).toBe(true);
  });
});

describe("CHANGE-REQUEST (RFC 5780 section 7.2)", () => {
  it.each([
    [1, false, false, 1, A, 3478],
    [1, false, true, 2, A, 3479],
    [1, true, false, 3, B, 3478],
    [1, true, true, 4, B, 3479],
    [4, true, true, 1, A, 3478],
    [2, false, true, 1, A, 3478],
  ])("at listener %i, other ip: %s, other port: %s, leaves from %i", (at, changeIp, changePort, from, ip, port) => {
    const { sent, message } = ask(server(), [change(changeIp, changePort)], at);
    expect(sent?.client).toEqual({ listener: from, remote: CLIENT });
    expect(message?.get(Attr.ResponseOrigin)).toEqual({ ip, port });
  });

  it("that nobody can follow is answered with 420, from where it came to", () => {
    const { sent, message, outcome } = ask(server({ listeners: ONE_IP }), [change(true, false)]);
    expect(outcome).toBe(420);
    expect(message?.get(Attr.UnknownAttributes)).toEqual([Attr.ChangeRequest.type]);
    expect(sent?.client).toEqual({ listener: 1, remote: CLIENT });
  });

  it("of the port alone needs no second IP address", () => {
    expect(ask(server({ listeners: ONE_IP }), [change(false, true)]).sent?.client.listener).toBe(2);
  });

  it("over a stream is answered with 420", () => {
    const listeners = [...FOUR, { id: 5, transport: "tcp", address: { ip: A, port: 3478 } } as const];
    expect(ask(server({ listeners }), [change(false, true)], 5).outcome).toBe(420);
    expect(ask(server({ listeners }), [attribute(Attr.ResponsePort, 1)], 5).outcome).toBe(420);
    expect(ask(server({ listeners }), [], 5).message?.get(Attr.OtherAddress)).toEqual({ ip: B, port: 3479 });
  });

  it("stays in its family", () => {
    const listeners = [
      ...ONE_IP,
      udp(7, "2600::1", 3478),
      udp(8, "2600::2", 3479, { alternateIp: true, alternatePort: true }),
    ];
    expect(ask(server({ listeners }), [change(true, true)]).outcome).toBe(420);
    const { sent } = ask(server({ listeners }), [change(true, true)], 7, CLIENT6);
    expect(sent?.client).toEqual({ listener: 8, remote: CLIENT6 });
  });
});

describe("a partner", () => {
  const partnered = (config: Partial<StunServerConfig> = {}) =>
    server({ listeners: ONE_IP, partners: [{ ip: B }], ...config });

  it("is the other address", () => {
    expect(ask(partnered()).message?.get(Attr.OtherAddress)).toEqual({ ip: B, port: 3479 });
    expect(ask(partnered(), [], 2).message?.get(Attr.OtherAddress)).toEqual({ ip: B, port: 3478 });
  });

  it.each([
    [1, true, false, false, 3478],
    [1, true, true, true, 3479],
    [2, true, true, false, 3478],
    [2, true, false, true, 3479],
  ])("at listener %i, other port: %s/%s, answers from its alternate port: %s", (at, ip, port, alternate, origin) => {
    const { partner, sent, message } = ask(partnered(), [change(ip, port)], at);
    expect(sent).toBeUndefined();
    expect(partner).toMatchObject({ destination: CLIENT, fromAlternatePort: alternate });
    expect(message?.get(Attr.ResponseOrigin)).toEqual({ ip: B, port: origin });
    expect(message?.get(Attr.XorMappedAddress)).toEqual(CLIENT);
  });

  it("is not asked for a change of port alone", () => {
    expect(ask(partnered(), [change(false, true)]).partner).toBeUndefined();
  });

  it("sends to RESPONSE-PORT where there is one", () => {
    const { partner } = ask(partnered(), [change(true, false), attribute(Attr.ResponsePort, 5555)]);
    expect(partner?.destination).toEqual({ ip: CLIENT.ip, port: 5555 });
  });

  it("may have other ports", () => {
    const stun = partnered({ listeners: [udp(1, A, 3478)], partners: [{ ip: B, alternatePort: 40000 }] });
    expect(ask(stun).message?.get(Attr.OtherAddress)).toEqual({ ip: B, port: 40000 });
  });

  it("comes and goes", () => {
    const stun = partnered();
    stun.setPartners([]);
    expect(ask(stun, [change(true, true)]).outcome).toBe(420);
    stun.setPartners([{ ip: B }]);
    expect(ask(stun, [change(true, true)]).partner).toBeDefined();
  });

  it("is not asked by one source faster than the rate", () => {
    const stun = partnered({ partnerRate: { perSecond: 1, burst: 2 } });
    const partners = [1, 2, 3].map(() => ask(stun, [change(true, true)]));
    expect(partners.map(({ partner }) => partner !== undefined)).toEqual([true, true, false]);
    expect(dropOf(partners[2]?.outputs ?? [])).toEqual(["rate-limited"]);
    expect(ask(stun).outcome).toBe("success");
  });
});

describe("RESPONSE-PORT and PADDING (RFC 5780 sections 7.5 and 7.6)", () => {
  it("sends the response to another port of the same address", () => {
    const { sent } = ask(server(), [attribute(Attr.ResponsePort, 5555)]);
    expect(sent?.client).toEqual({ listener: 1, remote: { ip: CLIENT.ip, port: 5555 } });
  });

  it("pads the response as the request was, with zeros", () => {
    const { message } = ask(server(), [attribute(Attr.Padding, new Uint8Array(1500).fill(9))]);
    expect(message?.get(Attr.Padding)).toEqual(new Uint8Array(1500));
  });

  it("refuses both at once, and port 0, with 400", () => {
    const both = [attribute(Attr.ResponsePort, 5555), attribute(Attr.Padding, new Uint8Array(4))];
    expect(ask(server(), both).outcome).toBe(400);
    expect(ask(server(), both).sent?.client.remote).toEqual(CLIENT);
    expect(ask(server(), [attribute(Attr.ResponsePort, 0)]).outcome).toBe(400);
    expect(ask(server(), [rawAttribute(Attr.ChangeRequest.type, new Uint8Array(3))]).outcome).toBe(400);
  });
});

describe("an RFC 3489 client", () => {
  const legacy = (attributes: readonly EncodedAttribute[] = []) =>
    server().handleClientInput({ listener: 1, remote: CLIENT }, binding(attributes, true), NOW);

  it("gets MAPPED-ADDRESS, SOURCE-ADDRESS and CHANGED-ADDRESS, without the cookie", () => {
    const [output] = legacy();
    const message = mustDecode(output?.type === "send" ? output.bytes : new Uint8Array(0));
    expect(message.legacy).toBe(true);
    expect([...message.transactionId]).toEqual(new Array(16).fill(3));
    expect(message.get(Attr.MappedAddress)).toEqual(CLIENT);
    expect(message.get(Attr.SourceAddress)).toEqual({ ip: A, port: 3478 });
    expect(message.get(Attr.ChangedAddress)).toEqual({ ip: B, port: 3479 });
    expect(message.has(Attr.XorMappedAddress)).toBe(false);
  });

  it("may ask for another address", () => {
    const [output] = legacy([change(true, true)]);
    expect(output).toMatchObject({ type: "send", client: { listener: 4, remote: CLIENT } });
  });

  it("may not have the response sent to somebody else", () => {
    const [output] = legacy([attribute(Attr.ResponseAddress, { ip: "9.9.9.9", port: 53 })]);
    const message = mustDecode(output?.type === "send" ? output.bytes : new Uint8Array(0));
    expect(outcomeOf(message)).toBe(420);
    expect(output).toMatchObject({ client: { remote: CLIENT } });
  });
});

describe("anything else", () => {
  it.each([
    ["bytes that are no message", () => Uint8Array.of(1, 2, 3), "malformed"],
    [
      "an Allocate request",
      () => encodeMessage({ method: Method.Allocate, class: 0, transactionId: new Uint8Array(12) }),
      "unknown-method",
    ],
    [
      "a response",
      () => encodeMessage({ method: Method.Binding, class: 2, transactionId: new Uint8Array(12) }),
      "unexpected-class",
    ],
  ])("is dropped: %s", (_, bytes, reason) => {
    expect(dropOf(server().handleClientInput({ listener: 1, remote: CLIENT }, bytes(), NOW))).toEqual([reason]);
  });

  it("is dropped from an unknown listener", () => {
    expect(dropOf(ask(server(), [], 99).outputs)).toEqual(["unknown-listener"]);
  });

  it("never makes it throw, and never sends anywhere but back to the source address", () => {
    const attributes = fc.array(
      fc.oneof(
        fc.record({
          type: fc.constantFrom(3, 0x26, 0x27, 2, 6, 8, 0x8022, 0x7777),
          value: fc.uint8Array({ maxLength: 16 }),
        }),
        fc.record({
          type: fc.constantFrom(3),
          value: fc.constantFrom(Uint8Array.of(0, 0, 0, 6), Uint8Array.of(0, 0, 0, 2)),
        }),
        fc.record({ type: fc.constantFrom(0x27), value: fc.uint8Array({ minLength: 4, maxLength: 4 }) }),
      ),
      { maxLength: 4 },
    );
    const input = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.record({ attributes, legacy: fc.boolean() }).map(({ attributes: list, legacy }) =>
        binding(
          list.map(({ type, value }) => rawAttribute(type, value)),
          legacy,
        ),
      ),
    );
    const servers = [server(), server({ listeners: ONE_IP, partners: [{ ip: B }] }), server({ listeners: ONE_IP })];
    fc.assert(
      fc.property(input, fc.integer({ min: 0, max: 5 }), fc.constantFrom(...servers), (bytes, listener, stun) => {
        for (const output of stun.handleClientInput({ listener, remote: CLIENT }, bytes, NOW)) {
          if (output.type === "send") expect(output.client.remote.ip).toBe(CLIENT.ip);
          if (output.type === "ask-partner") expect(output.destination.ip).toBe(CLIENT.ip);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
