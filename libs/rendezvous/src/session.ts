import { formatPeer } from "./address.ts";
import type { SessionEntry } from "./cluster/entry.ts";
import type { SessionState } from "./cluster/frames.ts";
import { Inbox } from "./inbox.ts";
import type { ConnectionId, Millis, Principal } from "./io.ts";
import { parseJson } from "./json.ts";
import type { Limits } from "./limits.ts";
import { type EndpointsUpdate, endpointsUpdate, type NatReport, natReport } from "./messages/network.ts";
import { Outbox } from "./outbox.ts";
import { TokenBucket } from "./token-bucket.ts";

/** One WebSocket connection. */
export interface Connection {
  readonly id: ConnectionId;
  /** `busy`: a hello is being answered. */
  phase: "new" | "busy" | "open";
  session: Session | undefined;
  /** Counts until the connection has a session, which has one of its own. */
  readonly bucket: TokenBucket;
  violations: number;
}

/** What a peer told of itself, for the planner. */
export interface PeerReports {
  readonly endpoints?: EndpointsUpdate;
  readonly nat?: NatReport;
}

export class Session {
  readonly id: string;
  readonly tenant: string;
  readonly user: string;
  readonly address: string;
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  readonly bucket: TokenBucket;
  kid: string;
  issuedAt: Millis;
  authExpiresAt: Millis;
  epoch: number;
  /** The connection that has the session, or is about to get it. */
  holder: Connection | undefined;
  /** The connection that messages are sent on. */
  open: Connection | undefined;
  /** Its client has had a hello: it can resume. */
  everOpened = false;
  status = "available";
  note: string | undefined;
  readonly rooms: Set<string>;
  /** Rooms whose `room.join` is not answered yet: their events come with the answer. */
  readonly joining: Set<string> = new Set();
  readonly watches: Set<string>;
  reports: PeerReports = {};

  constructor(id: string, principal: Principal, limits: Limits, now: Millis, state?: SessionState) {
    this.id = id;
    this.tenant = principal.tenant;
    this.user = principal.user;
    this.address = formatPeer(principal.user, id);
    this.kid = principal.kid;
    this.issuedAt = principal.issuedAt ?? now;
    this.authExpiresAt = principal.expiresAt;
    this.epoch = state?.entry.epoch ?? 0;
    this.outbox = new Outbox(limits.outboxMessages, limits.outboxBytes, state?.acked, state?.outbox);
    this.inbox = new Inbox(state?.received);
    this.bucket = new TokenBucket(limits.messagesPerSecond, limits.messageBurst, now);
    this.rooms = new Set(state?.entry.rooms);
    this.watches = new Set(state?.watches);
    if (state === undefined) return;
    this.status = state.entry.status;
    this.note = state.entry.note;
    this.reports = parseReports(state.reports);
  }

  /** Continues a session of another replica. */
  static restore(state: SessionState, limits: Limits, now: Millis): Session {
    const { entry, kid, authExpiresAt, issuedAt } = state;
    const principal = { tenant: entry.tenant, user: entry.user, kid, issuedAt, expiresAt: authExpiresAt };
    return new Session(entry.id, principal, limits, now, state);
  }

  entry(): SessionEntry {
    return {
      id: this.id,
      tenant: this.tenant,
      user: this.user,
      epoch: this.epoch,
      connected: this.holder !== undefined,
      status: this.status,
      ...(this.note === undefined ? {} : { note: this.note }),
      rooms: [...this.rooms],
    };
  }

  state(): SessionState {
    return {
      entry: this.entry(),
      kid: this.kid,
      issuedAt: this.issuedAt,
      authExpiresAt: this.authExpiresAt,
      received: this.inbox.received,
      acked: this.outbox.acked,
      outbox: this.outbox.after(this.outbox.acked).map(({ body }) => body),
      watches: [...this.watches],
      reports: JSON.stringify(this.reports),
    };
  }
}

function parseReports(text: string): PeerReports {
  const json = parseJson(text, 8);
  if (!json.ok || typeof json.value !== "object" || json.value === null) return {};
  const { endpoints, nat } = { endpoints: undefined, nat: undefined, ...json.value };
  const parsedEndpoints = endpointsUpdate.safeParse(endpoints);
  const parsedNat = natReport.safeParse(nat);
  return {
    ...(parsedEndpoints.success ? { endpoints: parsedEndpoints.data } : {}),
    ...(parsedNat.success ? { nat: parsedNat.data } : {}),
  };
}
