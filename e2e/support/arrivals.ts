import type { TurnClient } from "@culvert/turn-client";

export interface Arrival {
  readonly text: string;
  readonly via: "channel" | "data";
  readonly port: number;
}

const TIMEOUT_MS = 60_000;

/** The next data that a client gets. Call it before the data is sent. */
export function nextArrival(client: TurnClient): Promise<Arrival> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      stop();
      reject(new Error(`no data came within ${TIMEOUT_MS} ms`));
    }, TIMEOUT_MS);
    const stop = client.onData((peer, data, via) => {
      clearTimeout(timer);
      stop();
      resolve({ text: Buffer.from(data).toString(), via, port: peer.port });
    });
  });
}

/**
 * Lets two clients allocate, permits each the other, and passes data both ways: a channel one way, Send and Data
 * indications the other.
 *
 * @throws when anything on the way fails, or data does not arrive
 */
export async function relayBothWays(a: TurnClient, b: TurnClient): Promise<void> {
  const one = a.allocation ?? (await a.allocate());
  const two = b.allocation ?? (await b.allocate());
  await a.channelBind(two.relayed);
  await b.createPermission([one.relayed.ip]);
  await passBothWays(a, b);
}

/** Passes data both ways between clients that `relayBothWays` has been through. */
export async function passBothWays(a: TurnClient, b: TurnClient): Promise<void> {
  const [one, two] = [a.allocation, b.allocation];
  if (!one || !two) throw new Error("both clients must have an allocation");
  const there = nextArrival(b);
  a.send(two.relayed, Buffer.from("there"));
  const { text, via, port } = await there;
  if (text !== "there" || via !== "data" || port !== one.relayed.port) throw new Error(`got ${text} by ${via}`);
  const back = nextArrival(a);
  b.send(one.relayed, Buffer.from("and back"));
  const answer = await back;
  if (answer.text !== "and back" || answer.via !== "channel") throw new Error(`got ${answer.text} by ${answer.via}`);
}
