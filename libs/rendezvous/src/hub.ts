import { Directory } from "./cluster/directory.ts";
import type { ClusterOp, DeliveryOutcome } from "./cluster/frames.ts";
import { parseClusterFrame } from "./cluster/frames.ts";
import { Mesh } from "./cluster/mesh.ts";
import { Router } from "./cluster/router.ts";
import { Connections } from "./connections.ts";
import { Core } from "./core.ts";
import { Handlers } from "./handlers.ts";
import type { ConnectionId, HubConfig, HubOutput, HubPorts, Millis, Principal, VerifyResult } from "./io.ts";
import { Resumption } from "./resume.ts";
import type { Connection, PeerReports, Session } from "./session.ts";
import { Sessions } from "./sessions.ts";

/**
 * The signaling machine of one replica: sessions, rooms, presence and the links to the other replicas, without
 * sockets, clock or randomness of its own. Every `handle...` may leave outputs and move {@link pollTimeout}; take
 * outputs until there are none.
 */
export class Hub {
  readonly #core: Core;
  readonly #directory: Directory;
  readonly #mesh: Mesh;
  readonly #router: Router;
  readonly #sessions: Sessions;
  readonly #resumption: Resumption;
  readonly #connections: Connections;
  readonly #open = new Map<ConnectionId, Connection>();

  constructor(config: HubConfig, ports: HubPorts) {
    const core = new Core(config, ports);
    const directory = new Directory((change) => handlers.handleChange(change));
    const mesh = new Mesh(core, directory, {
      handleOp: (peer, op) => this.#handleOp(peer, op),
      handleLost: (peer) => {
        this.#router.handleLost(peer);
        this.#resumption.handleLost(peer);
      },
    });
    const sessions = new Sessions(core, directory, mesh, (connection) => {
      this.#open.delete(connection.id);
      core.deadlines.clear(`hello ${connection.id}`);
    });
    const router = new Router(core, directory, mesh, (target, body) => {
      const session = sessions.get(target);
      return session === undefined ? "gone" : sessions.sendBody(session, body);
    });
    const handlers = new Handlers({ core, directory, mesh, sessions, router });
    const resumption = new Resumption(core, directory, mesh, sessions);
    this.#core = core;
    this.#directory = directory;
    this.#mesh = mesh;
    this.#router = router;
    this.#sessions = sessions;
    this.#resumption = resumption;
    this.#connections = new Connections({
      core,
      directory,
      mesh,
      sessions,
      resumption,
      handlers,
      connections: this.#open,
    });
  }

  /** Says to the other replicas that this one is there. */
  start(now: Millis): void {
    this.#core.now = now;
    this.#mesh.beacon();
  }

  /** A WebSocket was accepted. */
  handleOpen(connection: ConnectionId, now: Millis): void {
    this.#core.now = now;
    this.#connections.handleOpen(connection);
  }

  handleText(connection: ConnectionId, text: string, now: Millis): void {
    this.#core.now = now;
    this.#connections.handleText(connection, text);
  }

  /** `clean`: closed by the client with 1000; otherwise its session waits to be resumed. */
  handleClosed(connection: ConnectionId, clean: boolean, now: Millis): void {
    this.#core.now = now;
    this.#connections.handleClosed(connection, clean);
  }

  /** The answer to a `verify` output. */
  handleVerified(id: number, result: VerifyResult, now: Millis): void {
    this.#core.now = now;
    this.#core.verified(id, result);
  }

  /** What another replica put on the bus; anything else is dropped and counted. */
  handleBus(text: string, now: Millis): void {
    this.#core.now = now;
    const frame = parseClusterFrame(text);
    if (frame === undefined) this.#core.refused("bad_bus_frame");
    else this.#mesh.handle(frame);
  }

  handleTimeout(now: Millis): void {
    this.#core.now = now;
    this.#core.deadlines.run(now);
  }

  /** Ends the sessions of principals that `revoked` says are no longer accepted. */
  revoke(revoked: (principal: Principal) => boolean, now: Millis): void {
    this.#core.now = now;
    for (const session of this.#sessions.all()) {
      if (revoked(principalOf(session))) this.#sessions.end(session, "auth_revoked", "auth_revoked");
    }
  }

  /** Asks every client to go elsewhere within `graceMs`; what is open goes on until {@link stop}. */
  drain(graceMs: number, now: Millis): void {
    this.#core.now = now;
    this.#connections.announceDrain(graceMs);
  }

  /** Closes what is open and takes leave of the other replicas. */
  stop(now: Millis): void {
    this.#core.now = now;
    this.#connections.closeAll();
    this.#mesh.leave();
  }

  /** When {@link handleTimeout} is due. */
  pollTimeout(): Millis | undefined {
    return this.#core.deadlines.next();
  }

  pollOutput(): HubOutput | undefined {
    this.#mesh.flush();
    return this.#core.take();
  }

  /** Open connections, whether they have a session or not. */
  get connections(): number {
    return this.#open.size;
  }

  /** Sessions of this replica, waiting ones included. */
  get sessions(): number {
    return this.#sessions.count;
  }

  /** The other replicas that live. */
  get replicas(): readonly string[] {
    return this.#mesh.replicas;
  }

  /** What a session of this replica last told about its network. */
  reportsOf(session: string): PeerReports | undefined {
    return this.#sessions.get(session)?.reports;
  }

  #handleOp(peer: string, op: ClusterOp): void {
    switch (op.op) {
      case "deliver":
        this.#handleDelivery(peer, op.n, op.id, op.body);
        return;
      case "result":
        this.#router.handleResult(peer, op.n, op.outcome);
        return;
      case "claim":
        this.#resumption.handleClaim(peer, op);
        return;
      case "claimed":
        this.#resumption.handleClaimed(peer, op);
        return;
      case "end": {
        const session = this.#sessions.get(op.id);
        if (session !== undefined && session.holder === undefined) this.#sessions.end(session, op.reason);
        return;
      }
      default:
    }
  }

  #handleDelivery(peer: string, n: number, id: string, body: string): void {
    const session = this.#sessions.get(id);
    if (session === undefined && this.#resumption.hold(peer, n, id, body)) return;
    let outcome: DeliveryOutcome = "gone";
    if (session !== undefined) outcome = this.#sessions.sendBody(session, body);
    else if (this.#directory.get(id) !== undefined) outcome = "moved";
    this.#mesh.send(peer, { op: "result", n, outcome });
  }
}

function principalOf({ tenant, user, kid, issuedAt, authExpiresAt }: Session): Principal {
  return { tenant, user, kid, issuedAt, expiresAt: authExpiresAt };
}
