import { strict as assert } from "node:assert";
import { nodeCrypto } from "@culvert/runtime";
import { readTicket, TurnServer } from "@culvert/turn";
import { seededRandom } from "./random.ts";
import { AUTHENTICATOR, emptyTable, MAX_LIFETIME_SECONDS, readSnapshot, START, WORLD } from "./turn-world.ts";

/**
 * Lets a TURN server restore whatever JSON the bytes are, and reads them as a mobility ticket.
 *
 * @throws Error when the server throws, or puts out what it must not, or keeps something in the end.
 */
export function driveRestore(input: Uint8Array): void {
  assert.equal(readTicket(input, [new Uint8Array(32)], nodeCrypto, START), undefined, "a ticket out of thin air");
  const snapshot = readSnapshot(new TextDecoder().decode(input));
  if (snapshot === undefined) return;
  const server = new TurnServer(
    { ...WORLD, mobility: "allowed", changes: true },
    { crypto: nodeCrypto, random: seededRandom(1), authenticator: AUTHENTICATOR },
  );
  const table = emptyTable();
  let results = 0;
  const settle = (now: number): void => {
    for (let output = server.pollOutput(); output !== undefined; output = server.pollOutput()) {
      table.apply(output, now);
      if (output.type === "bind") server.handleBound(output.relay, { ok: true }, now);
      if (output.type !== "event") continue;
      if (output.name === "allocation-restored" || output.name === "restore-failed") results++;
    }
  };
  server.restore(snapshot, START, { streamLives: true, abrupt: input.length % 2 === 1 });
  settle(START);
  assert.equal(results, 1, "a restore has one end");
  const end = START + 2 * MAX_LIFETIME_SECONDS * 1000;
  server.handleTimeout(end);
  settle(end);
  assert.equal(server.size, 0, "allocations are left");
  assert.equal(server.pollTimeout(), undefined, "a deadline is left");
  assert.deepEqual(table.open, [], "relay sockets are left");
}
