/** Scripts for the cluster's mark and its change counter. They tell a store that lost data from one whose data users deleted. */

/** The stream keeps about so many change notes. */
const KEPT_NOTES = 1000;

/** The reply of a guarded script if the store lost its mark, went back, or has a report of a loss. */
export const STORE_CHANGED = 'store changed';

/**
 * Puts a guard before a script that changes the desired state. The guard stops the script unless the mark is the caller's, the counter
 * is not below the caller's, and no process has reported a loss. After the script's own KEYS come: mark, lost, changes, notes. After
 * its own ARGV come: the function that it changes ('' = none), mark, changes. The script calls `changed()` once it has changed
 * something: this counts the change and adds a note that names the function. The counter's key is there as `changes`.
 */
export function guarded(script: string): string {
  return `
local notes = table.remove(KEYS)
local changes = table.remove(KEYS)
local lost = table.remove(KEYS)
local mark = table.remove(KEYS)
local latest = tonumber(table.remove(ARGV))
local own = table.remove(ARGV)
local name = table.remove(ARGV)
local function changed()
  local number = redis.call('INCR', changes)
  -- A reader that misses a note reads everything, so a failed note must not fail the change.
  redis.pcall('XADD', notes, 'MAXLEN', '~', ${KEPT_NOTES}, number .. '-0', 'function', name)
end
if redis.call('EXISTS', lost) == 1 or redis.call('GET', mark) ~= own then return '${STORE_CHANGED}' end
if tonumber(redis.call('GET', changes) or '0') < latest then return '${STORE_CHANGED}' end
${script}`;
}

/** Writes the cluster's mark unless there is one. Gives the mark, or 0 if a loss is reported. KEYS: mark, lost. ARGV: mark. */
export const CREATE_MARK = `
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])`;

/**
 * Reports that the store has lost a mark or changes that a process had seen; the latest report stays. Writes nothing into the store
 * of another cluster, nor after the lost data has come back.
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
