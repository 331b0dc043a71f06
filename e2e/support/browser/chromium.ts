import { once } from "node:events";
import { createServer } from "node:http";
import { type Browser, chromium, type Page } from "playwright-core";
import { requireProgram } from "../child.ts";
import { atEnd } from "../cleanup.ts";
import { installPeer } from "./peer.ts";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
  // The platform's certificate on 127.0.0.1 is self-signed.
  "--ignore-certificate-errors",
];

/** Debian's Chromium with a new profile. It is closed at the end of the file. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = requireProgram("/usr/bin/chromium", "chromium");
  const browser = await chromium.launch({ executablePath, args: FLAGS, headless: true, timeout: 60_000 });
  atEnd(() => browser.close());
  return browser;
}

/** The origin of an empty page on 127.0.0.1: a secure context, as the pages of an application are. */
export async function serveBlankPage(): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>peer</title>");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (typeof address !== "object" || !address) throw new Error("the page has no address");
  return `http://127.0.0.1:${address.port}`;
}

/** Two pages of two browser contexts, each with `window.peer` in it. */
export async function openPeers(browser: Browser, origin: string): Promise<readonly [Page, Page]> {
  const open = async (): Promise<Page> => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(origin);
    await page.evaluate(installPeer);
    return page;
  };
  return [await open(), await open()];
}
