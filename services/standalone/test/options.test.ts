import { ConfigError } from "@culvert/config";
import { describe, expect, it } from "vitest";
import { parseOptions } from "../src/options.ts";

describe("options of culvert up", () => {
  it("serve loopback unless told otherwise", () => {
    expect(parseOptions([], {})).toMatchObject({ host: "127.0.0.1", config: undefined, readyFile: undefined });
  });

  it("take the configuration file from the variable, and from the option before it", () => {
    const env = { CULVERT_CONFIG: "a.yaml" };
    expect(parseOptions([], env).config).toBe("a.yaml");
    expect(parseOptions(["--config", "b.yaml"], env).config).toBe("b.yaml");
  });

  it.each([
    [["--host", "nowhere"], "--host: nowhere: must be one IP address of this host"],
    [["--host", "0.0.0.0"], "--host: 0.0.0.0: must be one IP address of this host"],
    [["--hots", "::1"], "Unknown option '--hots'"],
    [["--config"], "Option '-c, --config <value>' argument missing"],
    [["surplus"], "Unexpected argument 'surplus'"],
  ])("%j end with one line", (argv, message) => {
    expect(() => parseOptions(argv, {})).toThrow(ConfigError);
    expect(() => parseOptions(argv, {})).toThrow(message);
    expect(() => parseOptions(argv, {})).not.toThrow(/\n/);
  });
});
