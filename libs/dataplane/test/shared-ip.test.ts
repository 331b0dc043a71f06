import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { loadBinding } from "../src/native/load.ts";

const FIXTURE = fileURLToPath(new URL("./fixtures/shared-ip.ts", import.meta.url));
const PREPARE =
  "ip link set lo up && ip address add 203.0.113.10/32 dev lo && ip address add 2001:db8::10/128 dev lo nodad";
const NO_RIGHTS = "setpriv --bounding-set=-bpf,-net_admin,-sys_admin";

const runs = (...command: readonly [string, ...string[]]): boolean => {
  try {
    execFileSync(command[0], command.slice(1), { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

/** It takes the right to make network namespaces. */
const MAY_UNSHARE = runs("unshare", "-n", "sh", "-c", PREPARE);

/** What the fixture has seen over IPv4 and over IPv6. */
async function play(prefix = ""): Promise<readonly Record<string, unknown>[]> {
  const node = `exec ${prefix} '${process.execPath}' --conditions=development --import tsx '${FIXTURE}'`;
  const { stdout } = await promisify(execFile)("unshare", ["-n", "sh", "-c", `${PREPARE} && ${node}`]);
  return JSON.parse(stdout);
}

describe.runIf(loadBinding().ok && MAY_UNSHARE)("on a shared relayed IP", () => {
  test("what peers send to ports that another relay serves goes to that relay, and nothing else does", async ({
    skip,
  }) => {
    const worlds = await play();
    const unsupported = worlds.map(({ unsupported: reason }) => reason).find((reason) => reason !== undefined);
    skip(unsupported !== undefined, `this system does not let us steer datagrams: ${unsupported}`);
    for (const seen of worlds) {
      expect(seen).toEqual({
        before: "direct, forwarded 0",
        steered: "steered, forwarded 1",
        burst: true,
        49999: "outside",
        50100: "outside",
        tcp: "hello",
        revoked: "revoked, forwarded 102",
        again: "again, forwarded 103",
        closed: "closed",
      });
    }
  });

  test.runIf(runs("sh", "-c", `${NO_RIGHTS} true`))(
    "a relay without the rights for it says so, and goes on",
    async () => {
      const reason = expect.stringMatching(/^BPF sk_lookup: .*not permitted.*CAP_NET_ADMIN and CAP_BPF/);
      expect(await play(NO_RIGHTS)).toEqual([{ unsupported: reason }, { unsupported: reason }]);
    },
  );
});
