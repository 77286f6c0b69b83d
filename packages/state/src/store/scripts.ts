/**
 * What must happen in one step inside Redis. Scripts that say `changed()` are guarded, see mark-scripts.ts. Records go in and out as the
 * text that JavaScript made: Lua's JSON would turn an empty list into an object. So a change is "read, compute, replace if nobody changed it meanwhile".
 */

/**
 * Gives a function its next version and takes old ones away; 1, 0 when someone else was first, or -1 when a revision of a secret is
 * not stored any more. Whoever moves the traffic meanwhile finds the function's record changed, and looks again at what there is.
 * KEYS: functions, versions of this one, version numbers, values of secrets.
 * ARGV: name, function record as read ('' = none), highest number as read ('' = none), number, function record, version record, how
 * many secrets the version was made with, their fields, then pairs of an old version's number and its record as read.
 */
export const CREATE_VERSION = `
local last = 7 + tonumber(ARGV[7])
for i = 8, last do if redis.call('HEXISTS', KEYS[4], ARGV[i]) == 0 then return -1 end end
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if (redis.call('HGET', KEYS[3], ARGV[1]) or '') ~= ARGV[3] then return 0 end
for i = last + 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[2], ARGV[i]) end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[5])
redis.call('HSET', KEYS[2], ARGV[4], ARGV[6])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[4])
changed()
return 1`;

/**
 * Replaces one record; 1, 0 when it is not any more what was read, or -1 when a revision of a secret is not stored any more.
 * KEYS: hash, values of secrets. ARGV: field, record as read, record, then the fields of the secrets that it needs.
 */
export const REPLACE_RECORD = `
for i = 4, #ARGV do if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0 then return -1 end end
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
changed()
return 1`;

/** Takes out a record; 1, or 0 where it is not as it was read. KEYS: the hash. ARGV: field, record before. */
export const WITHDRAW_RECORD = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
changed()
return 1`;

/**
 * Removes a function with its versions, logs and deployments; 1, or 0 when there was none. Deployments that are under way stay.
 * KEYS: functions, its versions, its log, sizes of logs, size of all, last additions, its deployments, open ones. ARGV: name.
 */
export const REMOVE_FUNCTION = `
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[2], KEYS[3])
local size = redis.call('ZSCORE', KEYS[4], ARGV[1])
if size then redis.call('DECRBY', KEYS[5], size) end
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
for _, id in ipairs(redis.call('HKEYS', KEYS[7])) do
  if not redis.call('ZSCORE', KEYS[8], ARGV[1] .. ' ' .. id) then redis.call('HDEL', KEYS[7], id) end
end
changed()
return 1`;

/** Stores one field of a hash; 1. KEYS: hash. ARGV: field, text. */
export const PUT_FIELD = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
changed()
return 1`;

/** Removes one field of a hash; 1, or 0 when there was none. KEYS: hash. ARGV: field. */
export const REMOVE_FIELD = `
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
changed()
return 1`;

/**
 * Stores a node's record and says that it lives; nodes that were silent for long are forgotten. A store that is full takes it: what
 * follows a removal in a script is not refused for want of memory, and one record in the place of another needs none.
 * KEYS: nodes, nodes seen, alive key of this one. ARGV: id, record, alive for ms, forget after s.
 */
export const HEARTBEAT = `
local now = tonumber(redis.call('TIME')[1])
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('SET', KEYS[3], '1', 'PX', ARGV[3])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[4]))) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
return 1`;

/**
 * Takes a slot for one more instance if the whole cluster holds fewer than allowed; 1 or 0. Dead nodes hold none.
 * KEYS: slots of the version, slot index of the node. ARGV: node, most instances, alive prefix, slot member, kept for s.
 */
export const RESERVE_SLOT = `
local held = 0
local counts = redis.call('HGETALL', KEYS[1])
for i = 1, #counts, 2 do
  if counts[i] == ARGV[1] or redis.call('EXISTS', ARGV[3] .. counts[i]) == 1 then held = held + tonumber(counts[i + 1]) end
end
if held >= tonumber(ARGV[2]) then return 0 end
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('SADD', KEYS[2], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return 1`;

/** Gives a slot back; one that is not held is no fault. KEYS: slots of the version, slot index of the node. ARGV: node, slot member. */
export const RELEASE_SLOT = `
if tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0') > 1 then return redis.call('HINCRBY', KEYS[1], ARGV[1], -1) end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('SREM', KEYS[2], ARGV[2])
return 0`;

/** Sets all counts of a node. KEYS: slot index of the node. ARGV: node, slots prefix, kept for s, then pairs of slot member and count. */
export const REWRITE_SLOTS = `
local listed = {}
for i = 4, #ARGV, 2 do listed[ARGV[i]] = ARGV[i + 1] end
for _, member in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if not listed[member] then
    redis.call('HDEL', ARGV[2] .. member, ARGV[1])
    redis.call('SREM', KEYS[1], member)
  end
end
for member, count in pairs(listed) do
  redis.call('HSET', ARGV[2] .. member, ARGV[1], count)
  redis.call('EXPIRE', ARGV[2] .. member, ARGV[3])
  redis.call('SADD', KEYS[1], member)
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1`;

/** Takes or keeps a lease; 1, or 0 while someone else has it. KEYS: lease. ARGV: who, for ms. */
export const KEEP_LEASE = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

/** Gives a lease back; nothing where someone else has it by now. KEYS: lease. ARGV: who. */
export const GIVE_LEASE_BACK = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1`;
