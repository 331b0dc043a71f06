import { type RedisOptions as ClientOptions, Redis } from "ioredis";

/** Where a Sentinel is, and how to get in. */
export type SentinelOptions = Pick<
  ClientOptions,
  | "host"
  | "port"
  | "username"
  | "password"
  | "tls"
  | "retryStrategy"
  | "protocol"
  | "disableClientInfo"
  | "connectTimeout"
>;

/**
 * Hears from Sentinels that another server is the master now. A master that was cut off from them may still answer: who
 * stayed with it would write to data that nobody else sees.
 *
 * @param onSwitch called with `host:port` of the new master, once by each Sentinel
 * @returns ends it
 */
export function watchSentinels(
  sentinels: readonly SentinelOptions[],
  master: string,
  onSwitch: (address: string) => void,
): () => void {
  const clients = sentinels.map((options) => {
    // It would subscribe again by itself, and nobody could take what becomes of that when it is closed meanwhile.
    const client = new Redis({ ...options, enableReadyCheck: false, autoResubscribe: false });
    // One that cannot be reached says nothing; the connection to the master shows whether that matters.
    client.on("error", () => {});
    client.on("message", (_, message) => {
      // <name> <old host> <old port> <new host> <new port>
      const [name, , , host, port] = message.split(" ");
      if (name === master) onSwitch(`${host}:${port}`);
    });
    client.on("ready", () => {
      client.subscribe("+switch-master").catch(() => {});
    });
    return client;
  });
  return () => {
    for (const client of clients) client.disconnect();
  };
}
