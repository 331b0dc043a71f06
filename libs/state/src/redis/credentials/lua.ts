/**
 * Keys after `{prefix}:c:`. tenant:<id>: hash of version and body; tenants: sorted set of ids. token:<id>: hash of tenant, hash
 * and body; hash:<hash>: id; tokens:<tenant>: ids in order of creation. key:<kid>: hash; keys:<tenant>: kids in order of
 * creation. revoked:<tenant>: hash of subject -> "revokedAt expiresAt"; expiries: sorted set of "tenant subject". order:
 * counts creations. revision: counts changes that watchers are told, from the time in microseconds on, so that it grows
 * over a loss of all data. log: stream of these changes, their ids the revisions.
 */
export const BASE = `
local c = KEYS[1] .. ':c:'
local LOG_LENGTH = 4096
local function hasTenant(id) return redis.call('EXISTS', c .. 'tenant:' .. id) == 1 end
local function append(list, member) redis.call('ZADD', list, 'NX', redis.call('INCR', c .. 'order'), member) end
`;

/** A last word `trace <id>` goes along with what is told. */
export const LOG = `
local function revision()
  local known = redis.call('GET', c .. 'revision')
  if known then return known end
  local time = redis.call('TIME')
  local first = string.format('%.0f', time[1] * 1000000 + time[2])
  redis.call('SET', c .. 'revision', first)
  return first
end
local trace = string.match(ARGV[#ARGV] or '', '^trace (%S+)$')
local function tell(...)
  revision()
  redis.call('INCR', c .. 'revision')
  local fields = { ... }
  if trace then fields[#fields + 1], fields[#fields + 2] = 'trace', trace end
  redis.call('XADD', c .. 'log', 'MAXLEN', '~', LOG_LENGTH, revision() .. '-0', unpack(fields))
end
local function tellKey(kid)
  local v = redis.call('HMGET', c .. 'key:' .. kid, 't', 's', 'a', 'n')
  tell('type', 'key-changed', 'tenant', v[1], 'kid', kid, 'secret', v[2], 'state', v[3], 'notAfter', v[4])
end
local function putKey(kid, tenant, secret, state, notAfter, createdAt)
  redis.call('HSET', c .. 'key:' .. kid, 't', tenant, 's', secret, 'a', state, 'n', notAfter, 'c', createdAt)
  append(c .. 'keys:' .. tenant, kid)
  tellKey(kid)
end
local function retireKey(kid, notAfter)
  redis.call('HSET', c .. 'key:' .. kid, 'a', 'retiring', 'n', notAfter)
  tellKey(kid)
end
local function dropKey(tenant, kid)
  redis.call('DEL', c .. 'key:' .. kid)
  redis.call('ZREM', c .. 'keys:' .. tenant, kid)
  tell('type', 'key-removed', 'tenant', tenant, 'kid', kid)
end
`;

export const TOKENS = `
local function dropToken(tenant, id)
  local hash = redis.call('HGET', c .. 'token:' .. id, 'h')
  redis.call('DEL', c .. 'token:' .. id, c .. 'hash:' .. hash)
  redis.call('ZREM', c .. 'tokens:' .. tenant, id)
end
`;

/** id, version, body -> 1, or 0 when it is taken. */
export const CREATE_TENANT = `
if hasTenant(ARGV[1]) then return 0 end
redis.call('HSET', c .. 'tenant:' .. ARGV[1], 'v', ARGV[2], 'b', ARGV[3])
redis.call('ZADD', c .. 'tenants', 0, ARGV[1])
return 1
`;

/** id -> body, or false. */
export const READ_TENANT = `
return redis.call('HGET', c .. 'tenant:' .. ARGV[1], 'b')
`;

/** after, limit -> bodies. */
export const LIST_TENANTS = `
local out = {}
local from = ARGV[1] == '' and '-' or '(' .. ARGV[1]
for _, id in ipairs(redis.call('ZRANGEBYLEX', c .. 'tenants', from, '+', 'LIMIT', 0, ARGV[2])) do
  out[#out + 1] = redis.call('HGET', c .. 'tenant:' .. id, 'b')
end
return out
`;

/** id, version, body -> 'updated', 'conflict', 'missing'. */
export const UPDATE_TENANT = `
local known = redis.call('HGET', c .. 'tenant:' .. ARGV[1], 'v')
if not known then return 'missing' end
if tonumber(known) ~= tonumber(ARGV[2]) - 1 then return 'conflict' end
redis.call('HSET', c .. 'tenant:' .. ARGV[1], 'v', ARGV[2], 'b', ARGV[3])
return 'updated'
`;

/** id -> 1, or 0 when there is none. */
export const DELETE_TENANT = `
local id = ARGV[1]
if redis.call('DEL', c .. 'tenant:' .. id) == 0 then return 0 end
redis.call('ZREM', c .. 'tenants', id)
for _, token in ipairs(redis.call('ZRANGE', c .. 'tokens:' .. id, 0, -1)) do dropToken(id, token) end
for _, kid in ipairs(redis.call('ZRANGE', c .. 'keys:' .. id, 0, -1)) do dropKey(id, kid) end
for _, subject in ipairs(redis.call('HKEYS', c .. 'revoked:' .. id)) do
  redis.call('ZREM', c .. 'expiries', id .. ' ' .. subject)
end
redis.call('DEL', c .. 'revoked:' .. id)
return 1
`;

/** id, tenant, hash, body -> 'created', 'taken', 'no-tenant'. */
export const CREATE_TOKEN = `
local id, tenant, hash, body = unpack(ARGV)
if not hasTenant(tenant) then return 'no-tenant' end
if redis.call('EXISTS', c .. 'token:' .. id, c .. 'hash:' .. hash) > 0 then return 'taken' end
redis.call('HSET', c .. 'token:' .. id, 't', tenant, 'h', hash, 'b', body)
redis.call('SET', c .. 'hash:' .. hash, id)
append(c .. 'tokens:' .. tenant, id)
return 'created'
`;

/** hash -> body, or false. */
export const READ_TOKEN = `
local id = redis.call('GET', c .. 'hash:' .. ARGV[1])
return id and redis.call('HGET', c .. 'token:' .. id, 'b')
`;

/** tenant -> bodies. */
export const LIST_TOKENS = `
local out = {}
for _, id in ipairs(redis.call('ZRANGE', c .. 'tokens:' .. ARGV[1], 0, -1)) do
  out[#out + 1] = redis.call('HGET', c .. 'token:' .. id, 'b')
end
return out
`;

/** tenant, id -> 1, or 0 when there is none. */
export const DELETE_TOKEN = `
if redis.call('HGET', c .. 'token:' .. ARGV[2], 't') ~= ARGV[1] then return 0 end
dropToken(ARGV[1], ARGV[2])
return 1
`;

/** kid, tenant, secret, state, notAfter, createdAt -> 'created', 'taken', 'no-tenant'. */
export const CREATE_KEY = `
if not hasTenant(ARGV[2]) then return 'no-tenant' end
if redis.call('EXISTS', c .. 'key:' .. ARGV[1]) == 1 then return 'taken' end
putKey(unpack(ARGV))
return 'created'
`;

/** old kid, its end, then the successor as CREATE_KEY takes it -> 'rotated', 'missing', 'not-active', 'taken'. */
export const ROTATE_KEY = `
local old, notAfter, kid, tenant = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local v = redis.call('HMGET', c .. 'key:' .. old, 't', 'a')
if v[1] ~= tenant then return 'missing' end
if v[2] ~= 'active' then return 'not-active' end
if redis.call('EXISTS', c .. 'key:' .. kid) == 1 then return 'taken' end
putKey(unpack(ARGV, 3))
retireKey(old, notAfter)
return 'rotated'
`;

/** tenant, kid, notAfter -> 1, or 0 when there is none. */
export const RETIRE_KEY = `
if redis.call('HGET', c .. 'key:' .. ARGV[2], 't') ~= ARGV[1] then return 0 end
retireKey(ARGV[2], ARGV[3])
return 1
`;

/** tenant, kid -> 1, or 0 when there is none. */
export const DELETE_KEY = `
if redis.call('HGET', c .. 'key:' .. ARGV[2], 't') ~= ARGV[1] then return 0 end
dropKey(ARGV[1], ARGV[2])
return 1
`;

/** A key as it is told: kid, tenant, secret, state, notAfter, createdAt. Nothing when there is none. */
export const READ_KEY = `
local function readKey(kid)
  local v = redis.call('HMGET', c .. 'key:' .. kid, 't', 's', 'a', 'n', 'c')
  return v[1] and { kid, v[1], v[2], v[3], v[4], v[5] } or nil
end
local function keysOf(tenant, out)
  for _, kid in ipairs(redis.call('ZRANGE', c .. 'keys:' .. tenant, 0, -1)) do out[#out + 1] = readKey(kid) end
end
`;

/** kid -> list of one or none. */
export const GET_KEY = `
return { readKey(ARGV[1]) }
`;

/** tenant -> keys. */
export const LIST_KEYS = `
local out = {}
keysOf(ARGV[1], out)
return out
`;

/** tenant, subject, revokedAt, expiresAt, limit -> 'revoked', 'too-many', 'no-tenant'. */
export const REVOKE = `
local tenant, subject, at, till, limit = unpack(ARGV)
if not hasTenant(tenant) then return 'no-tenant' end
local all = c .. 'revoked:' .. tenant
local known = redis.call('HGET', all, subject)
if known then
  local knownAt, knownTill = string.match(known, '^(%S+) (%S+)$')
  if tonumber(knownAt) > tonumber(at) then at = knownAt end
  if tonumber(knownTill) > tonumber(till) then till = knownTill end
elseif redis.call('HLEN', all) >= tonumber(limit) then
  return 'too-many'
end
redis.call('HSET', all, subject, at .. ' ' .. till)
redis.call('ZADD', c .. 'expiries', till, tenant .. ' ' .. subject)
tell('type', 'revoked', 'tenant', tenant, 'subject', subject, 'revokedAt', at, 'expiresAt', till)
return 'revoked'
`;

/** tenant -> subject, times, one after the other. */
export const LIST_REVOKED = `
return redis.call('HGETALL', c .. 'revoked:' .. ARGV[1])
`;

/** now, limit -> how many were forgotten. */
export const PRUNE = `
local gone = redis.call('ZRANGEBYSCORE', c .. 'expiries', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, member in ipairs(gone) do
  local tenant, subject = string.match(member, '^(%S+) (.*)$')
  redis.call('HDEL', c .. 'revoked:' .. tenant, subject)
  redis.call('ZREM', c .. 'expiries', member)
end
return #gone
`;

/** -> revision, keys, revocations as tenant, subject, times. */
export const SNAPSHOT = `
local keys, revoked = {}, {}
for _, tenant in ipairs(redis.call('ZRANGE', c .. 'tenants', 0, -1)) do
  keysOf(tenant, keys)
  local all = redis.call('HGETALL', c .. 'revoked:' .. tenant)
  for at = 1, #all, 2 do revoked[#revoked + 1] = { tenant, all[at], all[at + 1] } end
end
return { revision(), keys, revoked }
`;

/** -> revision. */
export const REVISION = `
return revision()
`;
