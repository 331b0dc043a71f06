import { type Step, timed } from "./step.ts";

const TEST_SECONDS = 180;

/** `helm test`: a pod of the cluster allocates, relays and gets its echo. */
export const helmTest: Step = {
  name: "helm test",
  async run({ cluster, names, say }) {
    const { namespace, release } = names;
    let output = "";
    const seconds = await timed(async () => {
      const args = ["test", release, "-n", namespace, "--logs", `--timeout=${TEST_SECONDS}s`];
      output = await cluster.helm(args, { timeoutMs: (TEST_SECONDS + 20) * 1000 });
    });
    const succeeded = (output.match(/Phase:\s+Succeeded/g) ?? []).length;
    for (const line of output.split("\n").filter((text) => /rtt|relay|echo|packets|ok/i.test(text))) say(line.trim());
    return [
      { what: "until it passed", value: seconds, unit: "s" },
      { what: "tests that passed", value: succeeded, unit: "tests", atLeast: 1 },
    ];
  },
};
