/**
 * What every script begins with: `p` (what all keys begin with) and `now`, milliseconds by Redis TIME. The server's clock is
 * the only one that scripts know.
 */
export const CLOCK = `
local p = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/**
 * The hash :era says how far the data can be trusted. run: run_id of the server that wrote it. born: since when the data are
 * complete; anew when the hash is gone (FLUSHALL) or another server has it (restart, failover). name: what this generation
 * of the data is called. since: since when relays
 * have been heard without a gap; anew when nobody asked for half a lease's time or the clock jumped. seen: asked last.
 */
export const ERA = `
local function look(ttl)
  local info = redis.pcall('INFO', 'server')
  local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
  local v = redis.call('HMGET', p .. ':era', 'run', 'born', 'since', 'seen', 'name')
  local born, since, name = now, now, run .. now
  if v[1] == run then
    name = v[5]
    born = math.min(tonumber(v[2]), now)
    if math.abs(now - tonumber(v[4])) <= ttl / 2 then since = math.min(tonumber(v[3]), now) end
  end
  redis.call('HSET', p .. ':era', 'run', run, 'born', born, 'since', since, 'seen', now, 'name', name)
  return born, since, name
end
`;

/**
 * The hash :slot:<slot> is a lease and outlives it. o, i, h: identity, instance and host of the owner. e: epoch. u: until.
 * l: its time to live. r: to whom it was released, empty for anyone; f: when the others may have it.
 */
export const SLOTS = `
local MEMORY = 604800000
local function slotKey(slot) return p .. ':slot:' .. slot end
local function readSlot(slot)
  local v = redis.call('HMGET', slotKey(slot), 'o', 'i', 'h', 'e', 'u', 'l', 'r', 'f')
  if not v[1] then return nil end
  local x = { identity = v[1], instance = v[2], host = v[3], epoch = tonumber(v[4]), till = tonumber(v[5]),
    ttl = tonumber(v[6]), released = v[7], others = tonumber(v[8] or v[5]) }
  if x.till - now > x.ttl then
    x.till = now + x.ttl
    redis.call('HSET', slotKey(slot), 'u', x.till)
  end
  if x.others - now > x.ttl then
    x.others = now + x.ttl
    if x.released then redis.call('HSET', slotKey(slot), 'f', x.others) end
  end
  return x
end
local function holdSlot(slot, identity, instance, host, epoch, ttl)
  local key = slotKey(slot)
  redis.call('HSET', key, 'o', identity, 'i', instance, 'h', host, 'e', epoch, 'u', now + ttl, 'l', ttl)
  redis.call('HDEL', key, 'r', 'f')
  redis.call('PEXPIRE', key, ttl + MEMORY)
  redis.call('SADD', p .. ':slots', slot)
end
`;

/** Whether writes with an epoch are the owner's. */
export const GUARD = `
local function guard(slot, epoch)
  local v = redis.call('HMGET', p .. ':slot:' .. slot, 'e', 'r')
  local known = tonumber(v[1] or 0)
  if known < epoch then return 'unleased' end
  if known > epoch or v[2] then return 'stale' end
  return nil
end
`;

/** slot, identity, instance, host, rule, ttl -> 1, epoch, previous identity, instance and whether it released; or 0, wait, holder. */
export const ACQUIRE = `
local slot, identity, instance, host, rule, ttl = unpack(ARGV)
ttl = tonumber(ttl)
local born, since = look(ttl)
local x = readSlot(slot)
local longest = math.max(ttl, x and x.ttl or 0)
local free = math.max(x and x.others or 0, since + longest)
if x then
  local sameHost = rule == 'same-identity' and x.identity == identity and x.host == host
  local handedOver = x.released == '' or x.released == identity
  if sameHost or handedOver then free = born + longest end
end
if free > now then
  if not x then return { 0, free - now } end
  return { 0, free - now, x.identity, x.instance, x.host, x.epoch }
end
local epoch = math.max(x and x.epoch + 1 or 0, now)
holdSlot(slot, identity, instance, host, epoch, ttl)
if not x then return { 1, epoch } end
return { 1, epoch, x.identity, x.instance, x.released and 1 or 0 }
`;

/** ttl, identity, instance, host, startedAt, entry, then slot, epoch, lapsed ('1') each -> now, generation, lost, reasserted. */
export const RENEW = `
local ttl, identity, instance, host, startedAt = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local _, _, name = look(ttl)
local lost, reasserted = {}, {}
for at = 7, #ARGV, 3 do
  local slot, epoch = ARGV[at], tonumber(ARGV[at + 1])
  local x = readSlot(slot)
  local own = x and x.epoch == epoch and x.instance == instance and not x.released
  local gone = not x or x.epoch < epoch
  if not own and (not gone or ARGV[at + 2] == '1') then
    lost[#lost + 1] = slot
  else
    if not own then reasserted[#reasserted + 1] = slot end
    holdSlot(slot, identity, instance, host, epoch, ttl)
  end
end
local key = p .. ':relay:' .. identity
local known = tonumber(redis.call('HGET', key, 's') or 0)
if known <= startedAt then
  redis.call('HSET', key, 'i', instance, 's', startedAt, 'b', ARGV[6])
  redis.call('PEXPIRE', key, ttl)
  redis.call('SADD', p .. ':relays', identity)
end
return { now, name, lost, reasserted }
`;

/** slot, epoch, instance, released to. */
export const RELEASE = `
local slot, epoch, instance, to = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local x = readSlot(slot)
if not x or x.epoch ~= epoch or x.instance ~= instance or x.released then return 0 end
local others = to == '' and now or x.till
redis.call('HSET', slotKey(slot), 'u', math.min(x.till, now), 'r', to, 'f', others)
return 1
`;

/** -> for each slot: slot, identity, instance, host, epoch, milliseconds left, released (0 or 1), to whom. */
export const LIST_SLOTS = `
local out = {}
for _, slot in ipairs(redis.call('SMEMBERS', p .. ':slots')) do
  local x = readSlot(slot)
  if x then
    out[#out + 1] = { slot, x.identity, x.instance, x.host, x.epoch, x.till - now, x.released and 1 or 0, x.released or '' }
  else
    redis.call('SREM', p .. ':slots', slot)
  end
end
return out
`;

/** -> the entry of each relay that lives. */
export const LIST_RELAYS = `
local out = {}
for _, identity in ipairs(redis.call('SMEMBERS', p .. ':relays')) do
  local entry = redis.call('HGET', p .. ':relay:' .. identity, 'b')
  if entry then
    out[#out + 1] = entry
  else
    redis.call('SREM', p .. ':relays', identity)
  end
end
return out
`;

/** identity, instance. */
export const UNREGISTER = `
local key = p .. ':relay:' .. ARGV[1]
if redis.call('HGET', key, 'i') == ARGV[2] then
  redis.call('DEL', key)
  redis.call('SREM', p .. ':relays', ARGV[1])
end
return 1
`;
