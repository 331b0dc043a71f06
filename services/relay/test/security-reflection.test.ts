import { Attr, attribute, encodeMessage, MessageClass, Method } from "@culvert/stun";
import { mustDecode } from "@culvert/testkit";
import { expect, test } from "vitest";
import { startRelay } from "./harness.ts";
import { UDP_TRANSPORT } from "./requests.ts";
import { Wire } from "./wire.ts";

const SOFTWARE = "a server that says what it is";
const TRANSACTION = new Uint8Array(12).fill(1);
/** IPv4 and UDP. */
const HEADERS = 28;

const bare = (method: number, attributes: Parameters<typeof encodeMessage>[0]["attributes"] = []) =>
  encodeMessage({ method, class: MessageClass.Request, transactionId: TRANSACTION, attributes });

/** What anybody can send, from an address that need not be theirs. */
function questions(wire: Wire): Readonly<Record<string, Uint8Array>> {
  return {
    "Allocate, as short as can be": bare(Method.Allocate),
    Refresh: bare(Method.Refresh),
    CreatePermission: bare(Method.CreatePermission),
    ChannelBind: bare(Method.ChannelBind),
    "Allocate as clients send it": bare(Method.Allocate, [UDP_TRANSPORT, attribute(Attr.Software, "a client")]),
    "Allocate with a stale nonce": wire.session.request(Method.Allocate, [UDP_TRANSPORT], { nonce: "stale" }),
    "Allocate with a wrong password": wire.session.request(Method.Allocate, [UDP_TRANSPORT], { password: "x" }),
    Binding: bare(Method.Binding),
    "Binding with an unknown attribute": bare(Method.Binding, [attribute(Attr.EvenPort, { reserveNext: false })]),
    "Binding of RFC 3489": encodeMessage({
      method: Method.Binding,
      class: MessageClass.Request,
      transactionId: new Uint8Array(16).fill(1),
      legacy: true,
    }),
  };
}

test("nobody is told SOFTWARE or a reason before they are authenticated, and gets little more than they sent", async () => {
  const relay = await startRelay({ software: SOFTWARE });
  const wire = await Wire.open(relay);
  await wire.challenge();
  const ratios: Record<string, number> = {};
  for (const [name, question] of Object.entries(questions(wire))) {
    await wire.settled();
    wire.send(question);
    const [answer] = await wire.arrival();
    if (answer === undefined) throw new Error(`no answer to ${name}`);
    const message = mustDecode(answer);
    expect(message.has(Attr.Software), name).toBe(false);
    expect(message.get(Attr.ErrorCode)?.reason ?? "", name).toBe("");
    ratios[name] = (answer.length + HEADERS) / (question.length + HEADERS);
  }
  const worst = Math.max(...Object.values(ratios));
  console.info(`reflection, bytes of IP out over bytes in: at most ${worst.toFixed(2)}`, ratios);
  expect(worst).toBeLessThan(3);
  expect(ratios.Binding).toBeLessThan(1.5);

  const authenticated = await wire.request(Method.Allocate, [UDP_TRANSPORT]);
  expect(authenticated.message?.get(Attr.Software)).toBe(SOFTWARE);
});

test("what is no request is not answered at all", async () => {
  const relay = await startRelay();
  const wire = await Wire.open(relay);
  const silent = [
    bare(Method.Allocate).subarray(0, 19),
    bare(Method.Connect),
    bare(0x0ff),
    wire.session.indication(Method.Send, []),
    wire.session.indication(Method.Allocate, []),
    encodeMessage({ method: Method.Allocate, class: MessageClass.Success, transactionId: TRANSACTION }),
    encodeMessage({
      method: Method.Allocate,
      class: MessageClass.Request,
      transactionId: new Uint8Array(16),
      legacy: true,
    }),
    Buffer.from([0x40, 0, 0, 4, 1, 2, 3, 4]),
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    // The head of a DTLS ClientHello.
    Buffer.from([22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0]),
  ];
  for (const bytes of silent) wire.send(bytes);
  expect(await wire.settled()).toEqual([]);
});

const RATE = { limits: { unauthenticatedPerSecond: 0.001, unauthenticatedBurst: 5 } };
const FLOOD = 50;

/** How many of a flood are answered, with which codes, and what that makes out over in. */
async function flood(wire: Wire, message: () => Uint8Array) {
  let sent = 0;
  for (let index = 0; index < FLOOD; index++) {
    const bytes = message();
    sent += bytes.length;
    wire.send(bytes);
  }
  const answers = await wire.settled();
  const codes = new Set(answers.map((answer) => mustDecode(answer).get(Attr.ErrorCode)?.code));
  return {
    count: answers.length,
    codes: [...codes],
    ratio: answers.reduce((sum, { length }) => sum + length, 0) / sent,
  };
}

test("401 is limited for one IPv4 address, whatever its ports; the next address is not affected", async () => {
  const relay = await startRelay(RATE);
  const [first, second] = [await Wire.open(relay, { ip: "127.0.0.2" }), await Wire.open(relay, { ip: "127.0.0.2" })];
  const other = await Wire.open(relay, { ip: "127.0.0.3" });
  const challenge = (wire: Wire) => flood(wire, () => wire.session.bare(Method.Allocate));
  const flooded = await challenge(first);
  expect(flooded).toMatchObject({ count: 5, codes: [401] });
  console.info(`reflection under a flood: ${flooded.ratio.toFixed(2)}`);
  expect(flooded.ratio).toBeLessThan(1);
  expect(await challenge(second)).toMatchObject({ count: 0 });
  expect(await challenge(other)).toMatchObject({ count: 5 });
  expect(await relay.metric("culvert_relay_dropped_total", { reason: "rate-limited" })).toBe(3 * FLOOD - 10);
});

test.each([
  [438, { nonce: "stale" }],
  [401, { username: "nobody" }],
  [401, { password: "wrong" }],
  [400, { algorithmAttributes: [attribute(Attr.PasswordAlgorithm, { algorithm: 2, parameters: new Uint8Array(0) })] }],
] as const)("%i to a request with %o is limited, too", async (code, changes) => {
  const relay = await startRelay(RATE);
  const wire = await Wire.open(relay);
  await wire.challenge();
  await wire.settled();
  const question = () => wire.session.request(Method.Allocate, [UDP_TRANSPORT], changes);
  expect(await flood(wire, question)).toMatchObject({ count: 5 - 1, codes: [code] });
});

test("401 is limited for one IPv6 /64", async () => {
  const relay = await startRelay({ ...RATE, listeners: [{ transport: "udp", ip: "::1", port: 0 }] });
  const [first, second] = [await Wire.open(relay, { ip: "::1" }), await Wire.open(relay, { ip: "::1" })];
  expect(await flood(first, () => first.session.bare(Method.Allocate))).toMatchObject({ count: 5 });
  expect(await flood(second, () => second.session.bare(Method.Allocate))).toMatchObject({ count: 0 });
});
