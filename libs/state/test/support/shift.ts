import type { RedisServer } from "@culvert/testkit";
import type { Redis } from "ioredis";

const SHIFT = `
local p, by = KEYS[1], tonumber(ARGV[1])
local fields = { era = { 'born', 'since', 'seen' }, slot = { 'u', 'f' }, a = { 'd' } }
for _, key in ipairs(redis.call('KEYS', p .. ':*')) do
  local kind = string.match(string.sub(key, #p + 2), '^[^:]+')
  for _, field in ipairs(fields[kind] or {}) do
    local value = redis.call('HGET', key, field)
    if value then redis.call('HSET', key, field, tonumber(value) - by) end
  end
  if kind == 'q' or kind == 'u' then
    local members = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for at = 1, #members, 2 do redis.call('ZADD', key, tonumber(members[at + 1]) - by, members[at]) end
  end
  local left = redis.call('PTTL', key)
  if left > 0 then redis.call('PEXPIRE', key, left - by) end
end
return 'shifted'
`;

/**
 * Lets time pass at a Redis without waiting for it: a clock that goes forward is the same as all stored times going back.
 * Negative: the clock is set back.
 */
export async function shiftTime(redis: Redis, prefix: string, ms: number): Promise<void> {
  await redis.eval(SHIFT, 1, `{${prefix}}`, Math.round(ms));
}

/** The same at the server that has the keys now, whatever it takes to get in there. */
export function elapsing(
  prefix: string,
  server: () => RedisServer | Promise<RedisServer>,
): (ms: number) => Promise<void> {
  return async (ms) => {
    const answer = await (await server()).command("eval", SHIFT, "1", `{${prefix}}`, String(Math.round(ms)));
    if (answer !== "shifted") throw new Error(`time did not pass: ${answer}`);
  };
}
