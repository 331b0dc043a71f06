import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { loadBinding } from "../src/native/load.ts";
import { Inbox } from "./contract/inbox.ts";
import { binding } from "./contract/messages.ts";
import { StreamEndpoint } from "./contract/stream-endpoint.ts";

interface Report {
  readonly port?: number;
  readonly heard?: number;
  readonly results?: readonly string[];
}

const FIXTURE = fileURLToPath(new URL("./fixtures/few-descriptors.ts", import.meta.url));
const NODE_ARGUMENTS = ["--conditions=development", "--import", "tsx", FIXTURE];
const KINDS = loadBinding().ok ? ["node", "native"] : ["node"];

test.each(KINDS)(
  "out of file descriptors a bind says so, clients are turned away, and it goes on when there are some again (%s)",
  async (kind) => {
    const child = spawn("sh", ["-c", 'ulimit -n 100; exec "$0" "$@"', process.execPath, ...NODE_ARGUMENTS, kind], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    onTestFinished(async () => {
      const exited = once(child, "exit");
      child.kill();
      await exited;
    });
    const reports = new Inbox<Report>();
    child.on("message", (message: Report) => reports.push(message));
    const order = async (text: string) => {
      child.send(text);
      return (await reports.next()).results ?? [];
    };

    const { port = 0 } = await reports.next();
    const local = { ip: "127.0.0.1", port };
    const before = await StreamEndpoint.connect(local);
    onTestFinished(() => before.destroy());
    await before.write(binding());
    expect((await reports.next()).heard).toBe(before.address.port);

    const exhausted = await order("exhaust");
    expect(new Set(exhausted)).toEqual(new Set(["ok", "no-descriptors"]));
    const turnedAway = await StreamEndpoint.connect(local);
    await turnedAway.ended;
    await before.write(binding());
    expect((await reports.next()).heard).toBe(before.address.port);

    expect(await order("free")).toEqual(["ok"]);
    const after = await StreamEndpoint.connect(local);
    onTestFinished(() => after.destroy());
    await after.write(binding());
    expect((await reports.next()).heard).toBe(after.address.port);
  },
);
