import type { Board } from "../board.ts";
import type { Note, Stat } from "../panel.ts";
import { countOf, rateBy, series } from "../query.ts";
import { CODES, type Code } from "./error-codes.ts";

const stat = ({ code, name, meaning, matchers = `code="${code}"` }: Code): Stat => ({
  kind: "stat",
  title: `${code} ${name}`,
  description: meaning,
  unit: "short",
  width: 4,
  queries: [{ expr: countOf("culvert_relay_requests_total", matchers), legend: code }],
  steps: [
    [null, "green"],
    [1, "orange"],
  ],
});

const table = (head: string, rows: readonly (readonly string[])[]): string =>
  [`| ${head} | means | do |`, "|---|---|---|", ...rows.map((cells) => `| ${cells.join(" | ")} |`)].join("\n");

const note = (title: string, rows: readonly (readonly string[])[], head: string, height = 8): Note => ({
  kind: "note",
  title,
  text: table(head, rows),
  height,
});

/** From an error code to its reason, and from there to what to do. */
export const FAILURES: Board = {
  name: "failures",
  title: "Culvert / Why did it fail",
  description: "From an error code, a drop or a refusal to its reason, and from there to what to do.",
  instancesOf: { metric: "target_info", matchers: 'service_namespace="culvert"' },
  rows: [
    {
      title: "Answers of the relays over the time shown",
      panels: [
        ...CODES.map(stat),
        {
          kind: "graph",
          title: "Answers that were no success, by code",
          description: "Challenges left out. A step at a rollout is 300 and 437; a plateau is worth a look.",
          unit: "reqps",
          stacked: true,
          width: 12,
          queries: [
            {
              expr: rateBy(["method", "code"], "culvert_relay_requests_total", 'result!~"success|challenge"'),
              legend: "{{method}} {{code}}",
            },
          ],
        },
        {
          ...note(
            "What the codes mean, and what to do",
            CODES.map(({ code, name, meaning, todo }) => [`**${code}** ${name}`, meaning, todo]),
            "code",
          ),
        },
      ],
    },
    {
      title: "Not authenticated (401, 438, 441, 403)",
      panels: [
        {
          kind: "graph",
          title: "Not authenticated, by reason",
          description: "no-integrity and stale-nonce are the challenges that each client meets, and are no failures.",
          unit: "cps",
          queries: [
            {
              expr: rateBy(
                ["reason", "detail"],
                "culvert_relay_auth_failures_total",
                'reason!~"no-integrity|stale-nonce"',
              ),
              legend: "{{reason}} {{detail}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Challenges",
          description:
            "As many as clients come, and one for each nonce's life. Far more than allocations: clients that never answer.",
          unit: "cps",
          queries: [
            {
              expr: rateBy(["reason"], "culvert_relay_auth_failures_total", 'reason=~"no-integrity|stale-nonce"'),
              legend: "{{reason}}",
            },
          ],
        },
        {
          ...note(
            "Reasons, and what to do",
            [
              [
                "`wrong-password`",
                "The HMAC is of another secret.",
                "Compare `static-auth-secret` with the application's. Many user names of one source: guessing, which is slowed down.",
              ],
              [
                "`rejected expired`",
                "The credential has ended.",
                "The application hands out old credentials, or its clock is off. Raise `ttl`.",
              ],
              [
                "`rejected unknown-key`",
                "No signing key of that kid is known here.",
                "Is the key feed connected (`culvert_relay_key_watch_connected`)? Was the key deleted?",
              ],
              ["`rejected revoked`", "The user or the credential was revoked.", "As intended; see Revocations."],
              [
                "`rejected malformed`",
                "The user name is none of ours.",
                "A client with fixed credentials that `relay.auth.users` does not have.",
              ],
              [
                "`client-address`",
                "The credential is for another client address (403).",
                "Do not bind credentials to addresses of clients behind changing NATs.",
              ],
              ["`other-user`", "The allocation is of another user (441).", "One socket, one user."],
              [
                "`wrong-realm`, `bid-down`, `incomplete`",
                "The request was altered or is of a broken client.",
                "Look at the client's library.",
              ],
            ],
            "reason",
          ),
          width: 8,
        },
      ],
    },
    {
      title: "Peers, quotas and room",
      panels: [
        {
          kind: "graph",
          title: "Peers denied",
          description: "CreatePermission, ChannelBind and Send to peers that the policy forbids (403).",
          unit: "cps",
          queries: [{ expr: rateBy(["method"], "culvert_relay_peers_denied_total"), legend: "{{method}}" }],
        },
        {
          kind: "graph",
          title: "What the fleet said of allocations",
          description:
            "refused: quota (486). unavailable: Redis did not answer. stale, unleased: the relay's slot is not its own any more.",
          unit: "cps",
          queries: [
            {
              expr: rateBy(["outcome"], "culvert_relay_admissions_total", 'outcome!="granted"'),
              legend: "{{outcome}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Relay sockets that could not be opened",
          description:
            "in-use: another process has the port. no-descriptors: raise the limit of open files. unavailable: the address is not on this host.",
          unit: "cps",
          queries: [
            { expr: rateBy(["reason"], "culvert_relay_bind_failures_total"), legend: "{{reason}}" },
            { expr: rateBy([], "culvert_relay_allocations_created_total"), legend: "for comparison: allocations" },
          ],
        },
      ],
    },
    {
      title: "Packets that went nowhere",
      panels: [
        {
          kind: "graph",
          title: "Dropped by the data plane, by reason",
          description: "Of all packets. The note beside it says what each reason means.",
          unit: "pps",
          stacked: true,
          queries: [{ expr: rateBy(["reason"], "culvert_relay_data_plane_dropped_total"), legend: "{{reason}}" }],
        },
        {
          kind: "graph",
          title: "Dropped by the control path, by reason",
          description:
            "Requests and indications without an answer. retransmission is normal; rate-limited: answers to strangers are limited by source.",
          unit: "pps",
          stacked: true,
          queries: [{ expr: rateBy(["reason"], "culvert_relay_dropped_total"), legend: "{{reason}}" }],
        },
        {
          kind: "graph",
          title: "Dropped before and between relays",
          description: "By the kernel at full socket buffers, and by the mesh for want of an owner.",
          unit: "pps",
          queries: [
            { expr: rateBy(["kind"], "culvert_relay_kernel_udp_errors_total"), legend: "kernel: {{kind}}" },
            { expr: rateBy(["reason"], "culvert_relay_mesh_dropped_total"), legend: "mesh: {{reason}}" },
          ],
        },
        {
          ...note(
            "Drops, and what to do",
            [
              [
                "`no-permission`",
                "The peer sends before the client has permitted it, or after.",
                "Normal at the start of calls. All the time: the peer's address is another one than the client thinks (NAT).",
              ],
              [
                "`no-allocation`, `expired`",
                "Data after the end of the allocation.",
                "Normal for seconds. All the time: refreshes do not get through.",
              ],
              ["`fenced`", "The relay does not hold the slot's lease.", "Runbook CulvertRelaySlotsFenced."],
              [
                "`rate-limited`",
                "More than the credential's `maxBps` or `relay.limits.maxBps`.",
                "As intended; raise it where calls suffer.",
              ],
              [
                "`back-pressure`, `send-failed`",
                "The network or the client takes less than comes.",
                "Runbook CulvertRelayDataPlaneDrops.",
              ],
              [
                "`malformed`, `unknown-client`",
                "Not TURN, or of a stream that is gone.",
                "One source: a scanner. Block it in front.",
              ],
              [
                "`mesh-auth`, `mesh-replay`, `mesh-refused`",
                "The mesh's port was sent what is not the fleet's.",
                "Runbook CulvertRelayMeshRefused.",
              ],
              [
                "`receive-buffer` (kernel)",
                "The relay does not read fast enough.",
                "Runbook CulvertRelayKernelDrops: scale out, raise `net.core.rmem_max`.",
              ],
              [
                "`limited` (mesh)",
                "One source asks for too many unknown 5-tuples.",
                "Runbook CulvertRelayUnknownSources.",
              ],
            ],
            "reason",
          ),
          width: 16,
          height: 10,
        },
        {
          kind: "graph",
          title: "Errors that peers sent back",
          description:
            "ICMP errors for what was relayed: the peer's port is closed, or its network is not reached. Beside them the packets to peers.",
          unit: "pps",
          queries: [
            { expr: `${rateBy([], "culvert_relay_peer_errors_total")} or vector(0)`, legend: "ICMP errors" },
            {
              expr: rateBy([], "culvert_relay_relayed_packets_total", 'direction="to_peer"'),
              legend: "packets to peers",
            },
          ],
        },
      ],
    },
    {
      title: "Calls that ended, and calls that were not carried on",
      panels: [
        {
          kind: "graph",
          title: "Allocations ended, by reason",
          description: "expired: no refresh came. revoked, terminated: by an operator. fenced: the lease was lost.",
          unit: "cps",
          stacked: true,
          queries: [{ expr: rateBy(["reason"], "culvert_relay_allocations_deleted_total"), legend: "{{reason}}" }],
        },
        {
          kind: "graph",
          title: "Not restored, by reason",
          description:
            "After a restart or a takeover. expired and revoked are right; port-taken, no-slot and bind-failed are not.",
          unit: "cps",
          queries: [{ expr: rateBy(["reason"], "culvert_relay_restore_failures_total"), legend: "{{reason}}" }],
        },
        {
          kind: "graph",
          title: "Slots lost and lapsed",
          description: "Each takes the calls on up to 512 ports with it, unless another relay goes on with them.",
          unit: "cps",
          queries: [
            { expr: rateBy(["event"], "culvert_relay_slots_total", 'event=~"lost|lapsed"'), legend: "{{event}}" },
          ],
        },
      ],
    },
    {
      title: "Before the relay: credentials, signaling, STUN",
      panels: [
        {
          kind: "graph",
          title: "Credentials refused, by reason",
          description:
            "unauthenticated: the API token is wrong. forbidden: its scope or tenant. too_many_…: slowed down. unavailable: Redis is away.",
          unit: "cps",
          queries: [{ expr: rateBy(["reason"], "culvert_credential_refused_total"), legend: "{{reason}}" }],
        },
        {
          kind: "graph",
          title: "Signaling refused, by reason",
          description:
            "auth_expired, auth_revoked, auth_unknown-key: the token. flood, rate_limited: the client. draining: go elsewhere.",
          unit: "cps",
          queries: [{ expr: rateBy(["reason"], "culvert_signaling_refused_total"), legend: "{{reason}}" }],
        },
        {
          kind: "graph",
          title: "STUN answers that were no success, and drops",
          description: "420: an attribute that is not known. Behaviour discovery needs the partner: partner_up.",
          unit: "cps",
          queries: [
            { expr: rateBy(["code"], "culvert_stun_requests_total"), legend: "answered {{code}}" },
            { expr: rateBy(["reason"], "culvert_stun_dropped_total"), legend: "dropped {{reason}}" },
            { expr: `sum(${series("culvert_stun_partner_up")})`, legend: "partners up" },
          ],
        },
      ],
    },
  ],
};
