import { encodeChannelData } from "@culvert/stun";
import { RelayTableModel } from "@culvert/testkit";
import type { Output } from "@culvert/turn";
import { describe, expect, it } from "vitest";

const NOW = 1000;
const CLIENT = { listener: 1, remote: { ip: "8.8.1.1", port: 1000 } };
const PEER = { ip: "9.9.9.9", port: 5000 };

const bind = (relay: number, port = 50_000): Output => ({ type: "bind", relay, local: { ip: "10.0.0.1", port } });
const allocation: Output = {
  type: "upsert",
  entry: { kind: "allocation", relay: 1, client: CLIENT, family: 4, deadline: NOW + 600_000 },
};
const permission = (ip: string, ports?: { min: number; max: number }): Output => ({
  type: "upsert",
  entry: { kind: "permission", relay: 1, ip, deadline: NOW + 1000, ...(ports === undefined ? {} : { ports }) },
});
const channel: Output = {
  type: "upsert",
  entry: { kind: "channel", relay: 1, channel: 0x4000, peer: PEER, deadline: NOW + 1000 },
};
const toPeer = (peer = PEER): Output => ({ type: "send", to: "peer", relay: 1, peer, bytes: Uint8Array.of(1) });
const toClient: Output = {
  type: "send",
  to: "client",
  client: CLIENT,
  bytes: encodeChannelData(0x4000, Uint8Array.of(1)),
};

/** Applies all but the last before, the last at a time. */
function play(outputs: readonly Output[], at = NOW): () => void {
  const model = new RelayTableModel({
    ports: { min: 50_000, max: 50_009 },
    maxLifetimeMs: 3_600_000,
    forbidden: new Set(["127.0.0.1"]),
  });
  for (const output of outputs.slice(0, -1)) model.apply(output, NOW);
  return () => {
    for (const output of outputs.slice(-1)) model.apply(output, at);
  };
}

describe("the model of the relay table accepts", () => {
  it.each<[string, readonly Output[]]>([
    ["data under a permission", [bind(1), allocation, permission(PEER.ip), toPeer()]],
    ["data on a channel", [bind(1), allocation, permission(PEER.ip), channel, toClient]],
    ["the end of a relay", [bind(1), allocation, { type: "unbind", relay: 1 }]],
  ])("%s", (_, outputs) => {
    expect(play(outputs)).not.toThrow();
  });
});

describe("the model of the relay table refuses", () => {
  it.each<[string, readonly Output[], number?]>([
    ["a relay that is bound twice", [bind(1), bind(1)]],
    ["a port out of range", [bind(1, 49_999)]],
    ["an entry for a relay that is not bound", [allocation]],
    ["an entry before its allocation", [bind(1), permission(PEER.ip)]],
    ["an entry that is over", [bind(1), allocation, permission(PEER.ip)], NOW + 1000],
    ["a permission for a forbidden address", [bind(1), allocation, permission("127.0.0.1")]],
    ["data without a permission", [bind(1), allocation, toPeer()]],
    ["data after the permission", [bind(1), allocation, permission(PEER.ip), toPeer()], NOW + 1000],
    ["data to another port", [bind(1), allocation, permission(PEER.ip, { min: 1, max: 2 }), toPeer()]],
    ["data to a client on no channel", [bind(1), allocation, permission(PEER.ip), toClient]],
    ["the end of a relay that is not bound", [{ type: "unbind", relay: 1 }]],
    ["the revocation of nothing", [bind(1), { type: "revoke", key: { kind: "permission", relay: 1, ip: PEER.ip } }]],
  ])("%s", (_, outputs, at) => {
    expect(play(outputs, at)).toThrow();
  });
});
