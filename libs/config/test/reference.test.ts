import { configReference, coturn, secret } from "@culvert/config";
import { expect, test } from "vitest";
import { z } from "zod";

const schema = z.strictObject({
  realm: coturn(z.string(), "realm").default("culvert").describe("The realm, as <name> | name"),
  ports: z.strictObject({ min: z.int().min(1).max(9).describe("First.") }).describe("Ports."),
  interval: z.number().positive().max(60).optional().describe("Seconds."),
  users: z
    .array(z.strictObject({ password: secret(z.string().min(8)).describe("The password.") }))
    .default([])
    .describe("Users."),
});

test("every key is a row, also those inside of mappings and lists", () => {
  expect(configReference("relay", schema).split("\n").slice(2)).toEqual([
    '| `relay.realm` | text | `"culvert"` | The realm, as &lt;name> \\| name | `realm` |',
    "| `relay.ports` | mapping | required | Ports. |  |",
    "| `relay.ports.min` | 1 to 9 | required | First. |  |",
    "| `relay.interval` | more than 0, up to 60 | none | Seconds. |  |",
    "| `relay.users` | a list | `[]` | Users. |  |",
    "| `relay.users[].password` | secret: text of 8 characters or more | required | The password. |  |",
  ]);
});
