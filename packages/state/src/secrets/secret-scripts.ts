/** What must happen to secrets in one step inside Redis, guarded; records and sealed values are text that JavaScript made. */

/**
 * Stores the next revision of some secrets, all or none; 1, or 0 when a record, a number or the master key is not what was read.
 * KEYS: secrets, values, numbers, master key.
 * ARGV: master key record as read, then for each secret: name, number as read ('' = none), number, record, field, sealed value.
 */
export const PUT_SECRETS = `
if redis.call('GET', KEYS[4]) ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 6 do
  if (redis.call('HGET', KEYS[3], ARGV[i]) or '') ~= ARGV[i + 1] then return 0 end
end
for i = 2, #ARGV, 6 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 2])
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 3])
  redis.call('HSET', KEYS[2], ARGV[i + 4], ARGV[i + 5])
end
changed()
return 1`;

/**
 * Removes a secret with all its values; 1, 0 when there was none, or -1 when something has changed since it was looked at.
 * KEYS: secrets, values. ARGV: name, changes as read ('' = none), start of its fields.
 */
export const REMOVE_SECRET = `
if (redis.call('GET', changes) or '') ~= ARGV[2] then return -1 end
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.sub(field, 1, #ARGV[3]) == ARGV[3] then redis.call('HDEL', KEYS[2], field) end
end
changed()
return 1`;

/** Removes values that nobody needs; 1, or 0 after any change since the read. KEYS: values. ARGV: changes as read ('' = none), fields. */
export const DROP_VALUES = `
if (redis.call('GET', changes) or '') ~= ARGV[1] then return 0 end
for i = 2, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
changed()
return 1`;

/** Replaces one value; 1, or 0 when it is not any more what was read. KEYS: values. ARGV: field, value as read, value. */
export const REPLACE_VALUE = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
changed()
return 1`;

/** Replaces the master key's record; 1, or 0 when it is not what was read. KEYS: master key. ARGV: as read ('' = none), record. */
export const REPLACE_MASTER_KEY = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
changed()
return 1`;
