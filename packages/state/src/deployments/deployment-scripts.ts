/** What a script answers where the record of a deployment is not as its writer knew it: another router has taken it over. */
export const TAKEN_OVER = 'taken over';

/** Deployments of a function that nobody deploys any more are forgotten so much later. */
const KEPT_MS = 7 * 24 * 3_600_000;

/**
 * A script together with the next step of one or several deployments of one function: both happen, or neither. The steps are done
 * where the script answers 1. A record must be as its writer wrote it last: so nobody moves a deployment that another has taken over.
 * Behind the script's own KEYS come: deployments of the function, open deployments. Behind its own ARGV, for each step: id, member of
 * the open ones, record as known ('' = none), record, lease in ms (0 = it has ended); then how many steps there are.
 */
export function stepping(script: string): string {
  return `
local open = table.remove(KEYS)
local deployments = table.remove(KEYS)
local steps = {}
for i = 1, tonumber(table.remove(ARGV)) do
  local step = {}
  step.lease = tonumber(table.remove(ARGV))
  step.after = table.remove(ARGV)
  step.before = table.remove(ARGV)
  step.member = table.remove(ARGV)
  step.id = table.remove(ARGV)
  steps[i] = step
end
local function work()
${script}
end
for _, step in ipairs(steps) do
  if (redis.call('HGET', deployments, step.id) or '') ~= step.before then return '${TAKEN_OVER}' end
end
local done = work()
if done ~= 1 then return done end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, step in ipairs(steps) do
  redis.call('HSET', deployments, step.id, step.after)
  redis.call('PEXPIRE', deployments, ${KEPT_MS})
  if step.lease > 0 then redis.call('ZADD', open, now + step.lease, step.member) else redis.call('ZREM', open, step.member) end
end
return 1`;
}

/** Nothing but the step. */
export const STEP_ONLY = 'return 1';

/** A first record; those of old deployments go with it. KEYS: deployments of the function. ARGV: the ids of the old ones. */
export const BEGIN = `
for i = 1, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
return 1`;

/** Only where its lease has run out; 1 or 0. KEYS: open deployments. ARGV: member. */
export const CLAIM = `
local time = redis.call('TIME')
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if lease and tonumber(lease) > time[1] * 1000 + math.floor(time[2] / 1000) then return 0 end
return 1`;

/** The open deployments whose lease has run out, in pairs of member and end of the lease. KEYS: open deployments. ARGV: how many at most. */
export const LOST_DEPLOYMENTS = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])`;
