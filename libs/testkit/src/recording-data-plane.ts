import dgram from "node:dgram";
import net from "node:net";
import type { DataPlane, ListenerSpec } from "@culvert/dataplane";
import { StreamFramer, type TransportAddress } from "@culvert/stun";
import type { Millis, RelayId } from "@culvert/turn";
import {
  abridgedData,
  abridgedMessage,
  applicationData,
  type DataPlaneTrace,
  type PlaneCommand,
  type TraceStep,
} from "./data-plane-trace.ts";

/**
 * A data plane that writes down what goes into it. It listens in on the sockets of the process, so that the one it
 * stands before is to be on Node's own sockets, and one process records one data plane only.
 */
export class RecordingDataPlane {
  readonly plane: DataPlane;
  readonly #clock: () => Millis;
  readonly #start: Millis;
  readonly #listeners: ListenerSpec[] = [];
  readonly #relays: Map<RelayId, TransportAddress> = new Map();
  readonly #steps: TraceStep[] = [];
  readonly #restore: () => void;

  constructor(inner: DataPlane, clock: () => Millis) {
    this.#clock = clock;
    this.#start = clock();
    const listen: DataPlane["listen"] = async (spec) => {
      const bound = await inner.listen(spec);
      this.#listeners.push({ ...spec, local: bound.local });
      return bound;
    };
    const apply: DataPlane["apply"] = (commands) => {
      this.#keepCommands(commands);
      inner.apply(commands);
    };
    const own = new Map<PropertyKey, unknown>([
      ["listen", listen],
      ["apply", apply],
    ]);
    this.plane = new Proxy(inner, {
      get: (_, name) => {
        const value: unknown = own.get(name) ?? Reflect.get(inner, name);
        return typeof value === "function" ? value.bind(inner) : value;
      },
    });
    this.#restore = this.#tap();
  }

  /** What was recorded. Ends the recording. */
  finish(recorded: string): DataPlaneTrace {
    this.#restore();
    return { recorded, listeners: this.#listeners, steps: this.#steps };
  }

  /** Sees what the sockets of this process receive, before the data plane does. Returns what ends it. */
  #tap(): () => void {
    const { emit: emitOfSocket } = dgram.Socket.prototype;
    const { emit: emitOfServer } = net.Server.prototype;
    const onDatagram = (local: TransportAddress, bytes: Buffer, from: dgram.RemoteInfo): void =>
      this.#keepDatagram(local, { ip: from.address, port: from.port }, bytes);
    const onStream = (local: TransportAddress, socket: net.Socket): void => this.#keepFrames(local, socket);
    dgram.Socket.prototype.emit = function (this: dgram.Socket, event: string | symbol, ...args: unknown[]): boolean {
      const [bytes, from] = args;
      if (event === "message" && Buffer.isBuffer(bytes)) onDatagram(localOf(this), bytes, from as dgram.RemoteInfo);
      return Reflect.apply(emitOfSocket, this, [event, ...args]);
    };
    net.Server.prototype.emit = function (this: net.Server, event: string | symbol, ...args: unknown[]): boolean {
      const [socket] = args;
      if (event === "connection" && socket instanceof net.Socket) onStream(localOf(this), socket);
      return Reflect.apply(emitOfServer, this, [event, ...args]);
    };
    return () => {
      dgram.Socket.prototype.emit = emitOfSocket;
      net.Server.prototype.emit = emitOfServer;
    };
  }

  #keepDatagram(local: TransportAddress, from: TransportAddress, bytes: Buffer): void {
    const listener = this.#listeners.find((one) => one.transport === "udp" && same(one.local, local));
    if (listener !== undefined) {
      const client = { listener: listener.id, remote: from };
      this.#keep({ at: this.#now(), type: "from-client", client, bytes: abridgedMessage(bytes) });
      return;
    }
    for (const [relay, address] of this.#relays) {
      if (!same(address, local)) continue;
      if ([...this.#relays.values()].some((other) => same(other, from))) this.#countHop(bytes);
      else this.#keep({ at: this.#now(), type: "from-peer", relay, from, bytes: abridgedData(bytes) });
    }
  }

  #keepFrames(local: TransportAddress, socket: net.Socket): void {
    const listener = this.#listeners.find((one) => one.transport === "tcp" && same(one.local, local));
    const { remoteAddress: ip, remotePort: port } = socket;
    if (listener === undefined || ip === undefined || port === undefined) return;
    const client = { listener: listener.id, remote: { ip, port } };
    const framer = new StreamFramer();
    socket.prependListener("data", (chunk: Buffer) => {
      for (const frame of framer.push(chunk).frames) {
        this.#keep({ at: this.#now(), type: "from-client", client, bytes: abridgedMessage(frame) });
      }
    });
  }

  /** A datagram from one relay to another: the first step with this data, and without a hop, led to it. */
  #countHop(datagram: Uint8Array): void {
    const payload = Buffer.from(abridgedData(datagram));
    const index = this.#steps.findIndex(
      (step) =>
        step.type === "from-client" &&
        step.hops === undefined &&
        payload.equals(applicationData(step.bytes) ?? Uint8Array.of()),
    );
    const step = this.#steps[index];
    if (step?.type !== "from-client") throw new Error("a datagram between relays that nobody sent");
    this.#steps[index] = { ...step, hops: true };
  }

  #keepCommands(commands: readonly PlaneCommand[]): void {
    for (const command of commands) {
      if (command.type === "bind") this.#relays.set(command.relay, command.local);
    }
    this.#keep({ at: this.#now(), type: "commands", commands: commands.map((command) => this.#relative(command)) });
  }

  #relative(command: PlaneCommand): PlaneCommand {
    if (command.type === "send") return { ...command, bytes: new Uint8Array(command.bytes) };
    if (command.type !== "upsert" || !("relay" in command.entry)) return command;
    return { ...command, entry: { ...command.entry, deadline: command.entry.deadline - this.#start } };
  }

  #keep(step: TraceStep): void {
    this.#steps.push(step);
  }

  #now(): number {
    return Math.round(this.#clock() - this.#start);
  }
}

function localOf(socket: dgram.Socket | net.Server): TransportAddress {
  const address = socket.address();
  if (typeof address !== "object" || address === null) return { ip: "", port: 0 };
  return { ip: address.address, port: address.port };
}

const same = (one: TransportAddress, other: TransportAddress): boolean =>
  one.ip === other.ip && one.port === other.port;
