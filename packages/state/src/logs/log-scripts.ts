/**
 * Adds lines to a function's log, within its budget and that of all logs. Room is made first, at the cost of the oldest lines of this
 * function or of the largest log; so a store that is full takes lines where others go, and no log fills it. Logs of which nobody has
 * heard for long go. A log that was not counted yet is counted.
 * KEYS: log, sizes of logs, size of all, last additions.
 * ARGV: function, start of the keys of logs, bytes of one log, bytes of all, lines of one log, kept for s, then the lines.
 */
export const APPEND_LOG = `
local name, prefix = ARGV[1], ARGV[2]
local most, mostOfAll, mostLines, kept = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local OVERHEAD, CHUNK = 64, 200
local now = tonumber(redis.call('TIME')[1])

local function sizeOf(entry) return #entry[2][2] + OVERHEAD end

local function measured(key)
  local size, from = 0, '-'
  while true do
    local entries = redis.call('XRANGE', key, from, '+', 'COUNT', CHUNK)
    for _, entry in ipairs(entries) do size = size + sizeOf(entry) end
    if #entries < CHUNK then return size end
    from = '(' .. entries[#entries][1]
  end
end

local total = redis.call('GET', KEYS[3])
if not total then
  total = 0
  local all = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
  for i = 2, #all, 2 do total = total + tonumber(all[i]) end
end
total = tonumber(total)
local size = redis.call('ZSCORE', KEYS[2], name)
if not size then
  size = measured(KEYS[1])
  total = total + size
elseif redis.call('EXISTS', KEYS[1]) == 0 then
  total = total - tonumber(size)
  size = 0
end
size = tonumber(size)

-- Takes the oldest lines until so many bytes and lines are gone; the bytes that are.
local function trim(key, bytes, lines)
  local freed, gone = 0, 0
  while freed < bytes or gone < lines do
    local entries = redis.call('XRANGE', key, '-', '+', 'COUNT', CHUNK)
    if #entries == 0 then break end
    local now = 0
    for _, entry in ipairs(entries) do
      if freed >= bytes and gone >= lines then break end
      freed = freed + sizeOf(entry)
      gone = gone + 1
      now = now + 1
    end
    redis.call('XTRIM', key, 'MAXLEN', redis.call('XLEN', key) - now)
  end
  return freed
end

local adding = 0
for i = 7, #ARGV do adding = adding + #ARGV[i] + OVERHEAD end
local freed = trim(KEYS[1], size + adding - most, redis.call('XLEN', KEYS[1]) + #ARGV - 6 - mostLines)
size = size - freed
total = total - freed

local function forget(other)
  total = total - tonumber(redis.call('ZSCORE', KEYS[2], other) or '0')
  redis.call('DEL', prefix .. other)
  redis.call('ZREM', KEYS[2], other)
  redis.call('ZREM', KEYS[4], other)
end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now - kept, 'LIMIT', 0, 10)) do
  if other ~= name then forget(other) end
end

while total + adding > mostOfAll do
  local largest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  if largest[1] == nil or (largest[1] ~= name and tonumber(largest[2]) <= size) then largest = { name, size } end
  if tonumber(largest[2]) <= 0 then break end
  local own = largest[1] == name
  local less = trim(own and KEYS[1] or prefix .. largest[1], total + adding - mostOfAll, 0)
  total = total - less
  if own then
    size = size - less
    if less == 0 then break end
  elseif less == 0 then
    forget(largest[1])
  else
    redis.call('ZINCRBY', KEYS[2], -less, largest[1])
  end
end

for i = 7, #ARGV do redis.call('XADD', KEYS[1], '*', 'r', ARGV[i]) end
redis.call('EXPIRE', KEYS[1], kept)
redis.call('ZADD', KEYS[2], size + adding, name)
redis.call('ZADD', KEYS[4], now, name)
redis.call('SET', KEYS[3], total + adding)
return 1`;
