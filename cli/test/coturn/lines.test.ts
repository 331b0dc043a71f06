import { describe, expect, it } from "vitest";
import { readLines } from "../../src/coturn/lines.ts";

describe("the lines of a coturn configuration", () => {
  it("are name=value, name value, or a name alone", () => {
    expect(readLines("realm=example.org\nmin-port 49152\nlt-cred-mech\n")).toEqual([
      { number: 1, name: "realm", value: "example.org" },
      { number: 2, name: "min-port", value: "49152" },
      { number: 3, name: "lt-cred-mech", value: "" },
    ]);
  });

  it("are counted with comments and empty ones, which say nothing", () => {
    expect(readLines("# realm=a\n\n  \t# b\n   realm = c  \r\n")).toEqual([{ number: 4, name: "realm", value: "c" }]);
  });

  it("lose quotes around the value, and only those", () => {
    expect(readLines('pidfile="/run/t.pid"\nuser=a:"b"\n').map(({ value }) => value)).toEqual(["/run/t.pid", 'a:"b"']);
  });

  it("keep what follows the value, as coturn does", () => {
    expect(readLines("static-auth-secret=a=b # c")).toEqual([
      { number: 1, name: "static-auth-secret", value: "a=b # c" },
    ]);
  });
});
