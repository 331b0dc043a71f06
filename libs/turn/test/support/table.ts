import type { ChannelEntry, ClientTuple, Millis, Output, PermissionEntry, RelayId } from "@culvert/turn";

interface Row {
  readonly lease: number | undefined;
  client: ClientTuple | undefined;
  deadline: Millis;
  maxBytesPerSecond: number | undefined;
  readonly permissions: Map<string, Omit<PermissionEntry, "relay">>;
  readonly channels: Map<number, Omit<ChannelEntry, "relay">>;
}

/**
 * What a data plane has in its table after these outputs, by the local addresses of the relay sockets, without what is
 * over: equal for servers that name their relays differently.
 */
export function tableOf(outputs: readonly Output[], now: Millis): Record<string, unknown> {
  const rows = new Map<RelayId, Row>();
  const names = new Map<RelayId, string>();
  for (const output of outputs) {
    if (output.type === "bind") {
      names.set(output.relay, `${output.local.ip} ${output.local.port}`);
      rows.set(output.relay, {
        lease: output.lease,
        client: undefined,
        deadline: 0,
        maxBytesPerSecond: undefined,
        permissions: new Map(),
        channels: new Map(),
      });
    }
    if (output.type === "unbind") rows.delete(output.relay);
    if (output.type === "upsert") {
      const { relay, ...entry } = output.entry;
      const row = rows.get(relay);
      if (entry.kind === "allocation") Object.assign(row ?? {}, entry);
      if (entry.kind === "permission") row?.permissions.set(entry.ip, entry);
      if (entry.kind === "channel") row?.channels.set(entry.channel, entry);
    }
    if (output.type === "revoke") {
      const { key } = output;
      if (key.kind === "permission") rows.get(key.relay)?.permissions.delete(key.ip);
      else rows.get(key.relay)?.channels.delete(key.channel);
    }
  }
  const table: Record<string, unknown> = {};
  for (const [relay, { permissions, channels, ...row }] of rows) {
    if (row.deadline <= now) continue;
    table[names.get(relay) ?? ""] = {
      ...row,
      permissions: alive([...permissions.values()], now),
      channels: alive([...channels.values()], now),
    };
  }
  return table;
}

function alive<Entry extends { readonly deadline: Millis }>(entries: readonly Entry[], now: Millis): readonly Entry[] {
  return entries
    .filter(({ deadline }) => deadline > now)
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
