import { bearerMetadata, channelCredentials, PartnerServiceClient } from "@culvert/contracts";
import { Attr, attribute, ErrorCode, encodeMessage, MessageClass, Method } from "@culvert/stun";
import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { at, later, onEachDataPlane, udpClient } from "./harness.ts";

onEachDataPlane((startStun) => {
  const TOKEN = "a token of two partners";
  const CHANGE_IP = attribute(Attr.ChangeRequest, { changeIp: true, changePort: false });
  const CHANGE_BOTH = attribute(Attr.ChangeRequest, { changeIp: true, changePort: true });

  /** The one that answers from 127.0.0.2 for another. */
  function startHelper() {
    return startStun({
      listeners: [{ transport: "udp", ip: "127.0.0.2", port: 0 }],
      alternate: { port: 0 },
      partner: { token: TOKEN, listen: { ip: "127.0.0.2", port: 0 } },
    });
  }

  /** The one with a single address, which has the other answer. */
  function startAsker(partnerPort: number, token = TOKEN) {
    return startStun({
      alternate: { port: 0 },
      partner: { target: `127.0.0.2:${partnerPort}`, token, interval: 0.1 },
    });
  }

  test("a server with one address answers from its partner's", async () => {
    const helper = await startHelper();
    const asker = await startAsker(helper.info.partner?.port ?? 0);
    await expect.poll(() => asker.service.ready().checks.partner).toBe("ok");
    const client = await udpClient();
    const primary = at(asker.info, 0);

    const plain = await client.ask(primary);
    expect(plain.message.get(Attr.OtherAddress)).toEqual(at(helper.info, 1));

    const fromOtherIp = await client.ask(primary, [CHANGE_IP]);
    expect(fromOtherIp.from).toEqual(at(helper.info, 0));
    expect(fromOtherIp.message.get(Attr.ResponseOrigin)).toEqual(at(helper.info, 0));
    expect(fromOtherIp.message.get(Attr.XorMappedAddress)).toEqual(client.local);

    const fromBoth = await client.ask(primary, [CHANGE_BOTH]);
    expect(fromBoth.from).toEqual(at(helper.info, 1));
    expect(await helper.metric("culvert_stun_partner_responded_total", { outcome: "sent" })).toBe(2);
    await expect.poll(() => asker.metric("culvert_stun_partner_asked_total", { outcome: "ok" })).toBe(2);
    expect(await asker.metric("culvert_stun_partner_up")).toBe(1);
  });

  test("when the partner goes, the server says so to clients and stays ready", async () => {
    const helper = await startHelper();
    const asker = await startAsker(helper.info.partner?.port ?? 0);
    await expect.poll(() => asker.service.ready().checks.partner).toBe("ok");
    await helper.service.stop();
    await expect.poll(() => asker.service.ready().checks.partner).toBe("does not answer");
    expect(asker.service.ready().ready).toBe(true);
    const client = await udpClient();
    const { message } = await client.ask(at(asker.info, 0), [CHANGE_IP]);
    expect(message.get(Attr.ErrorCode)?.code).toBe(ErrorCode.UnknownAttribute);
    expect((await client.ask(at(asker.info, 0))).message.has(Attr.OtherAddress)).toBe(false);
  });

  test("a partner with another token gets nothing", async () => {
    const helper = await startHelper();
    const asker = await startAsker(helper.info.partner?.port ?? 0, "a token of somebody else");
    await expect
      .poll(() => helper.metric("culvert_stun_partner_responded_total", { outcome: "unauthenticated" }))
      .toBeGreaterThan(0);
    expect(asker.service.ready().checks.partner).toBe("does not answer");
  });

  test("a partner has Binding responses sent and nothing else", async () => {
    const helper = await startHelper();
    const client = new PartnerServiceClient(`127.0.0.2:${helper.info.partner?.port}`, channelCredentials(undefined));
    later(() => client.close());
    const victim = await udpClient();
    let received = 0;
    void victim.next().then(() => {
      received += 1;
    });
    const respond = (datagram: Uint8Array, ip = victim.local.ip, port = victim.local.port): Promise<number> =>
      new Promise((resolve) => {
        const request = { datagram: Buffer.from(datagram), destination: { ip, port }, fromAlternatePort: false };
        client.respond(request, bearerMetadata(TOKEN), (error) => resolve(error?.code ?? status.OK));
      });
    const message = (messageClass: MessageClass): Uint8Array =>
      encodeMessage({ method: Method.Binding, class: messageClass, transactionId: new Uint8Array(12) });
    expect(await respond(Buffer.from("anything"))).toBe(status.INVALID_ARGUMENT);
    expect(await respond(message(MessageClass.Request))).toBe(status.INVALID_ARGUMENT);
    expect(await respond(message(MessageClass.Success), "localhost")).toBe(status.INVALID_ARGUMENT);
    expect(await respond(message(MessageClass.Success), "127.0.0.1", 0)).toBe(status.INVALID_ARGUMENT);
    expect(await respond(message(MessageClass.Success), "::1")).toBe(status.INVALID_ARGUMENT);
    expect(received).toBe(0);
    expect(await respond(message(MessageClass.Success))).toBe(status.OK);
    await expect.poll(() => received).toBe(1);
  });
});
