import type { RedisServer } from "./redis.ts";

type Commands = Pick<RedisServer, "command">;

/** What a Redis server has done since it started. */
export interface RedisUsage {
  /** By the command's name; what scripts call counts too. */
  readonly commands: ReadonlyMap<string, CommandUsage>;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes that data and clients take. */
  readonly memory: number;
  readonly keys: number;
}

export interface CommandUsage {
  readonly calls: number;
  /** Microseconds of the server's one thread, what the command called included. */
  readonly microseconds: number;
}

export async function readRedisUsage(server: Commands): Promise<RedisUsage> {
  const [stats, totals, memory, keys] = await Promise.all([
    server.command("info", "commandstats"),
    server.command("info", "stats"),
    server.command("info", "memory"),
    server.command("dbsize"),
  ]);
  const number = (text: string, name: string): number => Number(new RegExp(`${name}:(\\d+)`).exec(text)?.[1] ?? 0);
  const rows = stats.matchAll(/cmdstat_([^:]+):calls=(\d+),usec=(\d+)/g);
  return {
    commands: new Map(
      [...rows].map(([, name = "", calls, usec]) => [name, { calls: Number(calls), microseconds: Number(usec) }]),
    ),
    bytesIn: number(totals, "total_net_input_bytes"),
    bytesOut: number(totals, "total_net_output_bytes"),
    memory: number(memory, "used_memory"),
    keys: Number(/\d+/.exec(keys)?.[0] ?? 0),
  };
}

/** What was done between two looks; keys and memory are what there is more. */
export function usageBetween(before: RedisUsage, after: RedisUsage): RedisUsage {
  const commands = [...after.commands].flatMap(([name, { calls, microseconds }]): [string, CommandUsage][] => {
    const old = before.commands.get(name) ?? { calls: 0, microseconds: 0 };
    const more = { calls: calls - old.calls, microseconds: microseconds - old.microseconds };
    return more.calls > 0 ? [[name, more]] : [];
  });
  return {
    commands: new Map(commands),
    bytesIn: after.bytesIn - before.bytesIn,
    bytesOut: after.bytesOut - before.bytesOut,
    memory: after.memory - before.memory,
    keys: after.keys - before.keys,
  };
}

const BYTES = `
local out, at = {}, {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
  local kind = string.match(string.sub(key, #ARGV[1] + 2), '^[^:]+')
  if not at[kind] then
    out[#out + 1] = { kind, 0, 0 }
    at[kind] = out[#out]
  end
  at[kind][2] = at[kind][2] + 1
  at[kind][3] = at[kind][3] + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0)
end
for index, row in ipairs(out) do out[index] = table.concat(row, ' ') end
return table.concat(out, '\\n')
`;

/** Keys and bytes (`MEMORY USAGE`) by the kind of key, the word after the prefix. Stops the server while it counts. */
export async function redisKeyBytes(
  server: Commands,
  prefix = "culvert",
): Promise<ReadonlyMap<string, { readonly keys: number; readonly bytes: number }>> {
  const text = await server.command("eval", BYTES, "0", `{${prefix}}`);
  const rows = text.split("\n").filter((line) => line !== "");
  return new Map(
    rows.map((row) => {
      const [kind = "", keys, bytes] = row.split(" ");
      return [kind, { keys: Number(keys), bytes: Number(bytes) }];
    }),
  );
}
