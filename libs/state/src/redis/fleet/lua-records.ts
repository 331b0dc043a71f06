/**
 * The hash :a:<id> is a record. v: version of its schema. s: slot. t: tenant. u: user. x: tuple. c: creation.
 * d: expiry. b: the rest. It lives a while longer than the allocation, and so do:
 *
 * - :x:<tuple>, "id slot".
 * - :i:<slot> and :n:<tenant>, sorted sets of ids with score 0, for pages in the order of ids.
 * - :q:<tenant> and :u:<tenant> <user>, sorted sets of ids with the expiry as the score, which quotas count.
 *
 * Members whose records have gone by themselves are dropped by who meets them.
 */
export const RECORDS = `
local VERSION, SLACK = 1, 60000
local function recordKey(id) return p .. ':a:' .. id end
local function userKey(tenant, user) return p .. ':u:' .. tenant .. ' ' .. user end
local function index(key, score, id, gone)
  redis.call('ZADD', key, score, id)
  if redis.call('PTTL', key) < gone - now then redis.call('PEXPIREAT', key, gone) end
end
local function unpoint(key, id)
  local held = redis.call('GET', key)
  if held and string.sub(held, 1, #id + 1) == id .. ' ' then redis.call('DEL', key) end
end
local function readRecord(id)
  local v = redis.call('HMGET', recordKey(id), 'v', 's', 't', 'u', 'x', 'c', 'd')
  if not v[1] then return nil end
  return { id = id, version = tonumber(v[1]), slot = v[2], tenant = v[3], user = v[4], tuple = v[5],
    created = tonumber(v[6]), expiry = tonumber(v[7]) }
end
local function unindex(r)
  redis.call('ZREM', p .. ':i:' .. r.slot, r.id)
  redis.call('ZREM', p .. ':n:' .. r.tenant, r.id)
  redis.call('ZREM', p .. ':q:' .. r.tenant, r.id)
  redis.call('ZREM', userKey(r.tenant, r.user), r.id)
  unpoint(p .. ':x:' .. r.tuple, r.id)
end
local function drop(r)
  if r.version > VERSION then return end
  unindex(r)
  redis.call('DEL', recordKey(r.id))
end
local function argumentRecord(at)
  local id, slot, tenant, user, tuple, created, expiry, body = unpack(ARGV, at, at + 7)
  return { id = id, slot = slot, tenant = tenant, user = user, tuple = tuple,
    created = tonumber(created), expiry = tonumber(expiry), body = body }
end
local function put(r, known)
  if known and (known.tuple ~= r.tuple or known.user ~= r.user or known.tenant ~= r.tenant
      or known.slot ~= r.slot) then
    unindex(known)
  end
  local key, gone = recordKey(r.id), r.expiry + SLACK
  redis.call('HSET', key, 'v', VERSION, 's', r.slot, 't', r.tenant, 'u', r.user, 'x', r.tuple, 'c', r.created,
    'd', r.expiry, 'b', r.body)
  redis.call('PEXPIREAT', key, gone)
  redis.call('SET', p .. ':x:' .. r.tuple, r.id .. ' ' .. r.slot, 'PXAT', gone)
  index(p .. ':i:' .. r.slot, 0, r.id, gone)
  index(p .. ':n:' .. r.tenant, 0, r.id, gone)
  index(p .. ':q:' .. r.tenant, r.expiry, r.id, gone)
  index(userKey(r.tenant, r.user), r.expiry, r.id, gone)
end
local function rivalOf(r)
  local held = redis.call('GET', p .. ':x:' .. r.tuple)
  local id = held and string.match(held, '^(%S+) ')
  if not id or id == r.id then return nil end
  return readRecord(id)
end
`;

/** Whether the owner of a slot has ceased to relay, for all that is known. */
export const ENDED = `
local function ended(slot)
  local x = readSlot(slot)
  if not x then return false end
  local _, since = look(x.ttl)
  return math.max(x.others, since + x.ttl) <= now
end
`;

/**
 * Allocations that count. Tenants have many, so that only what is long gone is dropped, and not all at once. Users have few:
 * where they are at their limit, those on relays that have ended are taken off.
 */
export const QUOTAS = `
local function live(key, self, rival)
  local count = redis.call('ZCOUNT', key, '(' .. now, '+inf')
  for _, id in ipairs({ self, rival }) do
    local score = redis.call('ZSCORE', key, id)
    if score and tonumber(score) > now then count = count - 1 end
  end
  return count
end
local function tenantFull(r, rival, limit)
  local key = p .. ':q:' .. r.tenant
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now - SLACK, 'LIMIT', 0, 100)) do
    redis.call('ZREM', key, id)
    redis.call('ZREM', p .. ':n:' .. r.tenant, id)
  end
  return limit and live(key, r.id, rival) >= limit
end
local function userFull(r, rival, limit)
  local key = userKey(r.tenant, r.user)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - SLACK)
  if not limit then return false end
  local count = live(key, r.id, rival)
  if count < limit then return false end
  if count - limit >= 100 then return true end
  local known = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf', 'LIMIT', 0, 200)) do
    local slot = id ~= r.id and id ~= rival and redis.call('HGET', recordKey(id), 's')
    if slot then
      if known[slot] == nil then known[slot] = ended(slot) end
      if known[slot] then count = count - 1 end
    end
  end
  return count >= limit
end
`;

/** epoch, per user, per tenant (empty: no limit), record -> 'granted', 'user', 'tenant', 'stale', 'unleased'; or owner. */
export const ADMIT = `
local epoch, perUser, perTenant = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local r = argumentRecord(4)
local refused = guard(r.slot, epoch)
if refused then return refused end
local rival = rivalOf(r)
if rival and rival.expiry > now then
  local theirs = redis.call('HMGET', p .. ':slot:' .. rival.slot, 'o', 'i')
  local ours = redis.call('HMGET', p .. ':slot:' .. r.slot, 'o', 'i')
  local own = theirs[1] == ours[1] and theirs[2] == ours[2]
  if not own and not ended(rival.slot) then return { rival.id, rival.slot, theirs[1] or '' } end
end
local rivalId = rival and rival.id or ''
if userFull(r, rivalId, perUser) then return 'user' end
if tenantFull(r, rivalId, perTenant) then return 'tenant' end
if rival then drop(rival) end
put(r, readRecord(r.id))
return 'granted'
`;

/** kind, epoch, then the record or id and slot -> 'written', 'newer', 'stale', 'unleased', 'superseded'. */
export const WRITE = `
local kind, epoch = ARGV[1], tonumber(ARGV[2])
local id, slot = ARGV[3], ARGV[4]
local refused = guard(slot, epoch)
if refused then return refused end
local known = readRecord(id)
if known and known.version > VERSION then return 'newer' end
if kind == 'delete' then
  if known and known.slot == slot then drop(known) end
  return 'written'
end
local r = argumentRecord(3)
local rival = rivalOf(r)
if rival and (rival.created > r.created or (rival.created == r.created and rival.id > r.id)) then return 'superseded' end
put(r, known)
return 'written'
`;

/** A record as it is told: id, version, slot, identity of its relay, tenant, user, tuple, creation, rest. */
export const ROWS = `
local function row(id, owners)
  local v = redis.call('HMGET', p .. ':a:' .. id, 'v', 's', 't', 'u', 'x', 'c', 'b')
  if not v[1] then return nil end
  if owners[v[2]] == nil then owners[v[2]] = redis.call('HGET', p .. ':slot:' .. v[2], 'o') or '' end
  return { id, tonumber(v[1]), v[2], owners[v[2]], v[3], v[4], v[5], v[6], v[7] }
end
`;

/** index ('i:<slot>', 'n:<tenant>'), after, limit -> last id looked at, or empty at the end; dropped; rows. */
export const PAGE = `
local key, after, limit = p .. ':' .. ARGV[1], ARGV[2], tonumber(ARGV[3])
local ids = redis.call('ZRANGEBYLEX', key, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, limit)
local rows, owners, dropped = {}, {}, 0
for _, id in ipairs(ids) do
  local found = row(id, owners)
  if found then
    rows[#rows + 1] = found
  else
    redis.call('ZREM', key, id)
    dropped = dropped + 1
  end
end
return { #ids == limit and ids[limit] or '', dropped, rows }
`;

/** ids -> rows. */
export const FETCH = `
local rows, owners = {}, {}
for _, id in ipairs(ARGV) do rows[#rows + 1] = row(id, owners) end
return rows
`;

/** tuple -> id, slot, identity. */
export const OWNER = `
local held = redis.call('GET', p .. ':x:' .. ARGV[1])
if not held then return {} end
local id, slot = string.match(held, '^(%S+) (.*)$')
return { id, slot, redis.call('HGET', p .. ':slot:' .. slot, 'o') or '' }
`;

/** tenant, user -> ids. */
export const IDS_OF_USER = `
return redis.call('ZRANGE', p .. ':u:' .. ARGV[1] .. ' ' .. ARGV[2], 0, -1)
`;
