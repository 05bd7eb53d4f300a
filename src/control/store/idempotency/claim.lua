-- Says that a host carries out a request, if no other one does or has, and tells what is known of its key.
-- KEYS: the key; all that were carried out, a sorted set by when they are known no longer.
-- ARGV: the host; what tells the request from others; milliseconds for which that is known; how many keys there may be; whether more are refused.
-- It answers '' where that host carries it out, 'f' where there is no room, or what stands there; and for how many milliseconds it does.
local said = 'r' .. ARGV[2] .. ARGV[1]
local value = redis.call('GET', KEYS[1])
if value then
  if value == said then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return { '', 0 }
  end
  return { value, redis.call('PTTL', KEYS[1]) }
end
if ARGV[5] == '1' and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then
  local time = redis.call('TIME')
  if redis.call('ZCOUNT', KEYS[2], time[1] * 1000, '+inf') >= tonumber(ARGV[4]) then return { 'f', 0 } end
end
redis.call('SET', KEYS[1], said, 'PX', ARGV[3])
return { '', 0 }
