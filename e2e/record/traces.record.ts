import { connectTurn } from "@culvert/turn-client";
import { test } from "vitest";
import { launchChromium, openPeers, serveBlankPage } from "../support/browser/chromium.ts";
import type { Signal } from "../support/browser/peer.ts";
import { startEchoPeer } from "../support/echo-peer.ts";
import { eventually } from "../support/eventually.ts";
import { type UclientRun, uclient } from "../support/uclient.ts";
import { recordTrace } from "./recorded-relay.ts";

test("coturn's client: channels and indications, with an echoing peer and with each other", async () => {
  const { port: echo } = await startEchoPeer();
  await recordTrace("coturn-client", "turnutils_uclient of coturn", async ({ account, host, ports }) => {
    const peer = { host: "127.0.0.1", port: echo };
    const runs: readonly Partial<UclientRun>[] = [
      { peer },
      { peer, withoutRtcp: true, sendMethod: true, bytes: 1200 },
      { peer: { host: "::1", port: echo }, withoutRtcp: true, ipv6: true },
      { clients: 2, withoutRtcp: true },
      { clients: 2, withoutRtcp: true, transport: "tcp", sendMethod: true },
      { withoutRtcp: true, transport: "tcp", peer },
    ];
    for (const run of runs) {
      const { transport = "udp" } = run;
      const port = transport === "tcp" ? ports.tcp : ports.udp;
      await uclient({ account, host, port, transport: "udp", clients: 1, messages: 3, ...run });
    }
  });
});

test("two pages of Chromium with a data channel between them", async () => {
  const [browser, origin] = [await launchChromium(), await serveBlankPage()];
  await recordTrace("chromium", `Chromium ${browser.version()}`, async ({ account, host, ports }) => {
    const [caller, callee] = await openPeers(browser, origin);
    await caller.exposeFunction("signal", (signal: Signal) => callee.evaluate((s) => window.peer.signal(s), signal));
    await callee.exposeFunction("signal", (signal: Signal) => caller.evaluate((s) => window.peer.signal(s), signal));
    const servers = (transport: "udp" | "tcp") => [
      {
        urls: `turn:${host}:${ports[transport]}?transport=${transport}`,
        username: account.username,
        credential: account.password,
      },
    ];
    await callee.evaluate((own) => window.peer.start("callee", own), servers("tcp"));
    await caller.evaluate((own) => window.peer.start("caller", own), servers("udp"));
    const pages = [caller, callee];
    await Promise.all(pages.map((page) => page.evaluate(() => window.peer.exchange(12_000))));
    for (const page of pages) await page.context().close();
  });
});

test("Culvert's client: both families, every way of sending, and the end of an allocation", async () => {
  const { port } = await startEchoPeer();
  await recordTrace("culvert-client", "@culvert/turn-client", async ({ account, host, ports }) => {
    for (const transport of ["udp", "tcp"] as const) {
      const uri = `turn:${host}:${ports[transport]}?transport=${transport}`;
      const client = await connectTurn({ uri, ...account, timeoutMs: 5000 });
      let answers = 0;
      client.onData(() => {
        answers += 1;
      });
      let sent = 0;
      const exchange = async (ip: string, size: number, options = {}): Promise<void> => {
        client.send({ ip, port }, new Uint8Array(size).fill(sent), options);
        sent += 1;
        await eventually("the peer has answered", () => (answers === sent ? true : undefined));
      };
      await client.binding();
      await client.allocate({ additionalFamily: 6 });
      await client.createPermission(["127.0.0.1", "::1"]);
      for (const size of [1, 100, 1200]) {
        for (const ip of ["127.0.0.1", "::1"]) {
          await exchange(ip, size);
          await exchange(ip, size, { dontFragment: true });
        }
      }
      await client.channelBind({ ip: "127.0.0.1", port });
      await client.channelBind({ ip: "::1", port });
      for (const size of [1, 3, 100, 1200]) {
        for (const ip of ["127.0.0.1", "::1"]) {
          await exchange(ip, size);
          await exchange(ip, size, { via: "data" });
        }
      }
      await client.refresh(300);
      // No permission, no channel, no allocation: what is to be dropped.
      client.send({ ip: "192.0.2.1", port }, new Uint8Array(10));
      client.sendRaw(Uint8Array.of(0x4f, 0xff, 0, 4, 1, 2, 3, 4));
      await client.refresh(0);
      client.send({ ip: "127.0.0.1", port }, new Uint8Array(10));
      client.send({ ip: "127.0.0.1", port }, new Uint8Array(10), { via: "data" });
      await client.binding();
      await client.close({ release: false });
    }
  });
});
