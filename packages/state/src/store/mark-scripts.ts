/** The mark of the cluster and the counter of changes: by them a store that lost something is told from one that was given orders. */

/** Changes of which is noted what they changed. */
const KEPT_NOTES = 1000;

/** What a guarded script answers where the store is not the one that was known. */
export const NOT_AS_KNOWN = 'not as known';

/**
 * A script that changes the desired state, to be run only where mark and counter are as they were known or later, and nobody misses
 * anything. Behind its own KEYS come: mark, lost, changes, notes; behind its own ARGV: the function that it changes ('' = none), mark,
 * changes. It finds the counter's key as `changes`, and calls `changed()` once it has changed something: that counts the change, and
 * notes which function it was under the number that the change got.
 */
export function guarded(script: string): string {
  return `${GUARD}${script}`;
}

const GUARD = `
local notes = table.remove(KEYS)
local changes = table.remove(KEYS)
local lost = table.remove(KEYS)
local mark = table.remove(KEYS)
local known = tonumber(table.remove(ARGV))
local own = table.remove(ARGV)
local of = table.remove(ARGV)
local function changed()
  local number = redis.call('INCR', changes)
  -- Whoever misses a note reads everything: it must not fail the change.
  redis.pcall('XADD', notes, 'MAXLEN', '~', ${KEPT_NOTES}, number .. '-0', 'function', of)
end
if redis.call('EXISTS', lost) == 1 or redis.call('GET', mark) ~= own then return '${NOT_AS_KNOWN}' end
if tonumber(redis.call('GET', changes) or '0') < known then return '${NOT_AS_KNOWN}' end
`;

/** Gives the cluster a mark unless it has one; the mark, or 0 where somebody misses one. KEYS: mark, lost. ARGV: mark. */
export const FOUND = `
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])`;

/**
 * Writes down what a process knew and misses, the latest of it. Never into the store of another cluster; not where it is back.
 * KEYS: mark, lost, changes. ARGV: mark, changes.
 */
export const REPORT_LOSS = `
local there = redis.call('GET', KEYS[1])
if there and there ~= ARGV[1] then return 0 end
if there and tonumber(redis.call('GET', KEYS[3]) or '0') >= tonumber(ARGV[2]) then return 0 end
local before = redis.call('HMGET', KEYS[2], 'mark', 'changes')
if before[1] and (before[1] ~= ARGV[1] or tonumber(before[2]) >= tonumber(ARGV[2])) then return 0 end
redis.call('HSET', KEYS[2], 'mark', ARGV[1], 'changes', ARGV[2])
return 1`;
