import { Attr, attribute, ErrorCode } from "@culvert/stun";
import { expect, test } from "vitest";
import { at, onEachDataPlane, udpClient } from "./harness.ts";

onEachDataPlane((startStun) => {
  const twoByTwo = { alternate: { port: 0, ips: ["127.0.0.2"] } };

  async function start() {
    const stun = await startStun(twoByTwo);
    // As they are opened: primary, alternate port, alternate address, both.
    const [primary, altPort, altIp, both] = [0, 1, 2, 3].map((index) => at(stun.info, index));
    if (primary === undefined || altPort === undefined || altIp === undefined || both === undefined) throw new Error();
    return { stun, primary, altPort, altIp, both, client: await udpClient() };
  }

  test("two addresses times two ports are served", async () => {
    const { primary, altPort, altIp, both } = await start();
    expect(altPort.ip).toBe(primary.ip);
    expect(altIp).toEqual({ ip: "127.0.0.2", port: primary.port });
    expect(both).toEqual({ ip: "127.0.0.2", port: altPort.port });
  });

  test("an answer tells the mapped address, where it came from and the other address", async () => {
    const { primary, both, altIp, altPort, client } = await start();
    const { from, message } = await client.ask(primary);
    expect(from).toEqual(primary);
    expect(message.get(Attr.XorMappedAddress)).toEqual(client.local);
    expect(message.get(Attr.ResponseOrigin)).toEqual(primary);
    expect(message.get(Attr.OtherAddress)).toEqual(both);
    expect((await client.ask(altIp)).message.get(Attr.OtherAddress)).toEqual(altPort);
  });

  test.each([
    { changeIp: true, changePort: true, index: 3 },
    { changeIp: true, changePort: false, index: 2 },
    { changeIp: false, changePort: true, index: 1 },
    { changeIp: false, changePort: false, index: 0 },
  ])("CHANGE-REQUEST $changeIp $changePort is answered from there", async ({ index, ...change }) => {
    const { stun, primary, client } = await start();
    const { from, message } = await client.ask(primary, [attribute(Attr.ChangeRequest, change)]);
    expect(from).toEqual(at(stun.info, index));
    expect(message.get(Attr.ResponseOrigin)).toEqual(from);
    expect(message.get(Attr.XorMappedAddress)).toEqual(client.local);
  });

  test("RESPONSE-PORT sends the answer to another port of the client", async () => {
    const { primary, client } = await start();
    const other = await udpClient();
    const answer = other.next();
    void client.ask(primary, [attribute(Attr.ResponsePort, other.local.port)]);
    expect((await answer).message.get(Attr.XorMappedAddress)).toEqual(client.local);
    await client.ask(primary);
  });

  test("PADDING comes back as long as it went out", async () => {
    const { primary, client } = await start();
    const { message } = await client.ask(primary, [attribute(Attr.Padding, new Uint8Array(700))]);
    expect(message.get(Attr.Padding)?.length).toBe(700);
  });

  test("an RFC 3489 client learns the changed address, and gets an answer from there", async () => {
    const { primary, both, client } = await start();
    const plain = await client.ask(primary, [], true);
    expect(plain.message.legacy).toBe(true);
    expect(plain.message.get(Attr.MappedAddress)).toEqual(client.local);
    expect(plain.message.get(Attr.SourceAddress)).toEqual(primary);
    expect(plain.message.get(Attr.ChangedAddress)).toEqual(both);
    const changed = await client.ask(
      primary,
      [attribute(Attr.ChangeRequest, { changeIp: true, changePort: true })],
      true,
    );
    expect(changed.from).toEqual(both);
  });

  test("external addresses are what clients are told", async () => {
    const stun = await startStun({
      listeners: [{ transport: "udp", ip: "127.0.0.1", port: 0, external: "192.0.2.1" }],
      alternate: { port: 0, ips: ["192.0.2.2/127.0.0.2"] },
    });
    const client = await udpClient();
    const { message } = await client.ask(at(stun.info, 0));
    expect(message.get(Attr.ResponseOrigin)?.ip).toBe("192.0.2.1");
    expect(message.get(Attr.OtherAddress)).toEqual({ ip: "192.0.2.2", port: at(stun.info, 3).port });
  });

  test("without an alternate address CHANGE-REQUEST is refused as unknown (420)", async () => {
    const stun = await startStun();
    const client = await udpClient();
    const { message } = await client.ask(at(stun.info, 0), [
      attribute(Attr.ChangeRequest, { changeIp: true, changePort: false }),
    ]);
    expect(message.get(Attr.ErrorCode)?.code).toBe(ErrorCode.UnknownAttribute);
    expect(message.get(Attr.UnknownAttributes)).toEqual([Attr.ChangeRequest.type]);
    expect(await stun.metric("culvert_stun_requests_total", { code: "420" })).toBe(1);
  });
});
