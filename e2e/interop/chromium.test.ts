import type { Browser, Page } from "playwright-core";
import { afterEach, beforeAll, expect, test } from "vitest";
import { generateIceServers, type IceServer, signalingToken } from "../support/api.ts";
import { launchChromium, openPeers, serveBlankPage } from "../support/browser/chromium.ts";
import type { Signal } from "../support/browser/peer.ts";
import { type Platform, startPlatform, type Transport } from "../support/platform.ts";
import { SignalingClient } from "../support/signaling-client.ts";

const BYTES = 1_000_000;

let platform: Platform;
let browser: Browser;
let origin: string;
const pages: Page[] = [];

beforeAll(async () => {
  // As it comes: relayed addresses of the own fleet are peers without any permission to reach loopback.
  platform = await startPlatform();
  browser = await launchChromium();
  origin = await serveBlankPage();
});

afterEach(async () => {
  for (const page of pages.splice(0)) await page.context().close();
});

/** What the API issues, narrowed to the one TURN URI of `transport`. */
async function iceServersOver(transport: Transport): Promise<RTCIceServer[]> {
  const issued: readonly IceServer[] = await generateIceServers(platform.ready);
  const wanted = platform.uri(transport);
  const servers = issued.flatMap(({ urls, ...rest }) =>
    urls.filter((url) => url === wanted).map((url) => ({ ...rest, urls: url })),
  );
  expect(servers).toHaveLength(1);
  return servers;
}

async function twoPages(): Promise<readonly [Page, Page]> {
  const both = await openPeers(browser, origin);
  pages.push(...both);
  return both;
}

async function connectAndExchange(caller: Page, callee: Page, transport: Transport): Promise<void> {
  await callee.evaluate((servers) => window.peer.start("callee", servers), await iceServersOver(transport));
  await caller.evaluate((servers) => window.peer.start("caller", servers), await iceServersOver(transport));
  const exchange = (page: Page) => page.evaluate((bytes) => window.peer.exchange(bytes), BYTES);
  const [one, two] = await Promise.all([exchange(caller), exchange(callee)]);
  expect(one.received).toBe(two.sent);
  expect(two.received).toBe(one.sent);
  expect([one.bytes, two.bytes]).toEqual([BYTES, BYTES]);
  for (const page of [caller, callee]) {
    expect(await page.evaluate(() => window.peer.selectedPair())).toEqual({
      local: { type: "relay", relayProtocol: transport, url: platform.uri(transport) },
      remote: { type: "relay" },
    });
  }
}

test.each(["udp", "tcp", "tls"] as const)(
  "a data channel carries 1 MB each way between two pages that are relayed over %s",
  async (transport) => {
    const [caller, callee] = await twoPages();
    await caller.exposeFunction("signal", (signal: Signal) => callee.evaluate((s) => window.peer.signal(s), signal));
    await callee.exposeFunction("signal", (signal: Signal) => caller.evaluate((s) => window.peer.signal(s), signal));
    await connectAndExchange(caller, callee, transport);
  },
);

/** Lets a page signal through a session of the signaling service. */
async function signalThrough(page: Page, session: SignalingClient, to: string): Promise<void> {
  await page.exposeFunction("signal", (signal: Signal) => {
    if (signal.kind === "description") session.send("ice.desc", { description: signal.description }, { to });
    else session.send("ice.candidate", { candidate: signal.candidate }, { to });
  });
  const deliver = (signal: unknown): void => {
    // A page that is closed already needs no more candidates.
    page.evaluate(`window.peer.signal(${JSON.stringify(signal)})`).catch(() => undefined);
  };
  session.on("ice.desc", ({ data }) => deliver({ kind: "description", description: data.description }));
  session.on("ice.candidate", ({ data }) => deliver({ kind: "candidate", candidate: data.candidate }));
}

test("descriptions and candidates go through the signaling service", async () => {
  const [caller, callee] = await twoPages();
  const { signalingUrl } = platform.ready;
  const alice = await SignalingClient.open(signalingUrl, await signalingToken(platform.ready, "alice"));
  const bob = await SignalingClient.open(signalingUrl, await signalingToken(platform.ready, "bob"));
  await signalThrough(caller, alice, bob.address);
  await signalThrough(callee, bob, alice.address);
  await connectAndExchange(caller, callee, "udp");
  await Promise.all([alice.close(), bob.close()]);
});
