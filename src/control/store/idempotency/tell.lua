-- Tells what became of a request that a host has carried out, and makes room where there is too much.
-- KEYS: the key; all that were carried out, a sorted set by when they are known no longer; those of them whose answers are kept; bytes that these take.
-- ARGV: the host; what is to stand there; milliseconds for which it does; the key's own part of its name; how many keys there may be; whether more
--   are refused; bytes that answers may take; what names of keys begin with.
-- It answers 1 where another host has carried it out as well.
local value = redis.call('GET', KEYS[1])
local is_own = value and string.sub(value, 34, 49) == ARGV[1]
local kind, new = value and string.sub(value, 1, 1), string.sub(ARGV[2], 1, 1)
if new == 'f' then
  -- That it is free is told to those who wait for it, and no sign of anything else.
  if kind == 'r' and is_own then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
  return 0
end
-- What was told first stands, but that an answer is better than none.
local is_better = kind == 'u' and new == 'a' and string.sub(value, 2, 33) == string.sub(ARGV[2], 2, 33)
local is_done = kind == 'a' or kind == 'u'
local result = (is_done and not is_own) and 1 or 0
if is_done and not is_better then return result end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function lighten(old)
  if redis.call('ZREM', KEYS[3], old) == 1 then redis.call('DECRBY', KEYS[4], string.sub(old, 66)) end
end
local function forget(old)
  redis.call('ZREM', KEYS[2], old)
  lighten(old)
end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 32)) do forget(old) end
if is_better then forget(ARGV[4] .. ' ' .. #value) end
local member = ARGV[4] .. ' ' .. #ARGV[2]
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[3], member)
if new == 'a' and redis.call('ZADD', KEYS[3], now + ARGV[3], member) == 1 then redis.call('INCRBY', KEYS[4], #ARGV[2]) end
for _ = 1, 64 do
  if tonumber(redis.call('GET', KEYS[4]) or '0') <= tonumber(ARGV[7]) then break end
  local old = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
  if not old then
    redis.call('SET', KEYS[4], 0)
    break
  end
  lighten(old)
  local key = ARGV[8] .. string.sub(old, 1, 64)
  local head, left = redis.call('GETRANGE', key, 0, 48), redis.call('PTTL', key)
  -- That its request was carried out stays known.
  if left > 0 and string.sub(head, 1, 1) == 'a' then redis.call('SET', key, 'u' .. string.sub(head, 2), 'PX', left) end
end
for _ = 1, ARGV[6] == '1' and 0 or 64 do
  if redis.call('ZCARD', KEYS[2]) <= tonumber(ARGV[5]) then break end
  local old = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  forget(old)
  local key = ARGV[8] .. string.sub(old, 1, 64)
  local head = redis.call('GETRANGE', key, 0, 0)
  if head == 'a' or head == 'u' then redis.call('DEL', key) end
end
for at = 2, 4 do
  if redis.call('PTTL', KEYS[at]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[at], ARGV[3] + 60000) end
end
return result
