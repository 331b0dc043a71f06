import { randomBytes } from "node:crypto";
import { formatAddress, type TransportAddress } from "@culvert/stun";
import { connectTurn, type TurnClient } from "@culvert/turn-client";
import { type Step, StepFailed, StepRunner } from "./steps.ts";

export interface PingOptions {
  /** A TURN URI (RFC 7065). */
  readonly uri: string;
  readonly username: string;
  readonly password: string;
  /** Accept any certificate. */
  readonly insecure: boolean;
  /** Packets through the relay each way (Send/Data and channel). */
  readonly count: number;
  /** Bytes a packet, 4 or more: the first four are a sequence number. */
  readonly size: number;
  /** How long a step may take, in milliseconds. */
  readonly timeoutMs: number;
}

export interface PingReport {
  readonly uri: string;
  readonly ok: boolean;
  readonly steps: readonly Step[];
}

/**
 * Goes through a relay and back: allocates, permits its own relayed address, sends packets to it, and gets them back from
 * it. Each step is timed; the first that fails ends the probe and says why.
 */
export async function pingTurn(options: PingOptions, onStep: (step: Step) => void): Promise<PingReport> {
  const runner = new StepRunner(() => performance.now(), onStep);
  let client: TurnClient | undefined;
  try {
    const connected = await runner.run("connect", () => connect(options));
    client = connected;
    await runner.run(
      "binding",
      () => connected.binding(),
      (mapped) => `seen as ${formatAddress(mapped)}`,
    );
    const allocation = await runner.run(
      "allocate",
      () => connected.allocate(),
      ({ relayed, lifetime }) => `relayed address ${formatAddress(relayed)}, lifetime ${lifetime} s`,
    );
    await runner.run("permission", () => connected.createPermission([allocation.relayed.ip]));
    const probe = (send: (data: Uint8Array) => void) => () => roundTrips(connected, send, options);
    const self = allocation.relayed;
    await runner.run(
      "send/data",
      probe((data) => connected.send(self, data)),
      describeTrips,
    );
    await runner.run(
      "channel",
      () => connected.channelBind(self),
      (channel) => `0x${channel.toString(16)}`,
    );
    await runner.run(
      "channel data",
      probe((data) => connected.send(self, data)),
      describeTrips,
    );
    await runner.run("release", () => connected.refresh(0));
    return { uri: options.uri, ok: true, steps: runner.steps };
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    return { uri: options.uri, ok: false, steps: runner.steps };
  } finally {
    await client?.close();
  }
}

function connect(options: PingOptions): Promise<TurnClient> {
  return connectTurn({
    uri: options.uri,
    username: options.username,
    password: options.password,
    timeoutMs: options.timeoutMs,
    tls: { rejectUnauthorized: !options.insecure },
  });
}

interface RoundTrips {
  readonly milliseconds: readonly number[];
}

/** Sends one packet after the other to the own relayed address and waits for each to come back. */
async function roundTrips(
  client: TurnClient,
  send: (data: Uint8Array) => void,
  { count, size, timeoutMs }: PingOptions,
): Promise<RoundTrips> {
  const milliseconds: number[] = [];
  for (let sequence = 0; sequence < count; sequence += 1) {
    const packet = randomBytes(size);
    packet.writeUInt32BE(sequence);
    const start = performance.now();
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`packet ${sequence + 1} of ${count} did not come back within ${timeoutMs} ms`));
      }, timeoutMs);
      const stop = client.onData((_peer: TransportAddress, data: Uint8Array) => {
        if (!packet.equals(data)) return;
        clearTimeout(timer);
        stop();
        resolve();
      });
      send(packet);
    });
    milliseconds.push(performance.now() - start);
  }
  return { milliseconds };
}

function describeTrips({ milliseconds }: RoundTrips): string {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return `${sorted.length} of ${sorted.length} back, median ${median.toFixed(2)} ms`;
}
