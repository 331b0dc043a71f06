import { ipAddress, listenPort, natsSection, port, redisSection, secret } from "@culvert/config";
import { parseAddress } from "@culvert/stun";
import { z } from "zod";
import type { FleetConfig } from "./config.ts";

const ADDRESS = "must be address:port, an IPv6 address in brackets";

const transportAddress = z
  .string()
  .transform((text, context) => {
    const address = parseAddress(text);
    if (address !== undefined && address.port > 0) return address;
    context.issues.push({ code: "custom", input: text, message: ADDRESS });
    return z.NEVER;
  })
  .or(z.strictObject({ ip: ipAddress().describe("IP address."), port: port().describe("Port.") }));

/** Section `relay.fleet`: relays that act as one. */
export function fleetSection(): z.ZodExactOptional<z.ZodType<FleetConfig>> {
  return z
    .strictObject({
      identity: z
        .string()
        .regex(/^[A-Za-z0-9._-]{1,128}$/, "must be 1 to 128 letters, digits, dots, dashes or underscores")
        .exactOptional()
        .describe(
          "Name of this relay, the same after each restart and no other relay's. Default: CULVERT_POD_NAME, POD_NAME or the host's name.",
        ),
      host: z
        .string()
        .min(1)
        .max(128)
        .exactOptional()
        .describe("What makes ports exclusive here. Default: boot id and network namespace of the kernel."),
      secrets: secret(z.array(z.string().min(32, "must be 32 characters or more")).min(1)).describe(
        "Secrets of the fleet, 32 characters or more each: keys of nonces, tickets and the mesh. The first signs, all are accepted.",
      ),
      redis: redisSection("Leases of ports, allocations and quotas of the fleet."),
      nats: natsSection(
        "Hints between relays and of revocations, orders to them, and usage events. Without it: no usage events.",
      ),
      failover: z
        .enum(["identity", "address"])
        .default("identity")
        .describe(
          "Who goes on with the ports of a lost relay: the relay of the same identity, or any whose host has the relayed address then.",
        ),
      lease: z
        .strictObject({
          ttl: z
            .number()
            .min(0.5)
            .max(60)
            .default(3)
            .describe("Seconds until the ports of a lost relay may be taken. Renewed four times as often."),
          outage: z
            .number()
            .min(0)
            .max(86_400)
            .default(300)
            .describe("Seconds that relays go on without Redis while none of them reaches it."),
        })
        .prefault({})
        .describe("Leases of ports."),
      slots: z
        .strictObject({
          ports: z.int().min(2).max(65_536).default(512).describe("Ports of a slot, which is leased as a whole."),
          max: z
            .int()
            .min(1)
            .exactOptional()
            .describe("Slots to hold, where relays share addresses. Default: all of its own addresses and ports."),
        })
        .prefault({})
        .describe("Relayed ports in units of ownership."),
      mesh: z
        .strictObject({
          ip: ipAddress()
            .refine((ip) => ip !== "0.0.0.0" && ip !== "::", "must be one address, not a wildcard")
            .describe("Address of this host that the other relays send to."),
          port: listenPort().default(3479).describe("UDP port; 0 takes a free one."),
          external: ipAddress().exactOptional().describe("Address that the other relays know it by, if another."),
        })
        .exactOptional()
        .describe("Authenticated UDP between relays. Without it packets that come to the wrong relay go nowhere."),
      advertise: z
        .array(transportAddress)
        .default([])
        .describe("Addresses that clients are sent to (ALTERNATE-SERVER). Default: those of the listeners."),
      onStateLoss: z
        .enum(["refuse", "grant"])
        .default("grant")
        .describe("New allocations while Redis is down: refused (500), or granted by this relay's own quotas."),
      usage: z
        .strictObject({
          interval: z.int().min(1).max(86_400).default(60).describe("Seconds between usage events of one allocation."),
        })
        .prefault({})
        .describe("Usage events."),
      lookups: z
        .strictObject({
          perSecond: z.number().positive().default(50).describe("Look-ups that one source (/32 or /64) may cause."),
          burst: z.int().min(1).default(200).describe("Look-ups of one source at once."),
        })
        .prefault({})
        .describe("Look-ups of owners of 5-tuples that are not known here."),
    })
    .exactOptional()
    .describe("Relays that act as one. Absent: a single relay.");
}
