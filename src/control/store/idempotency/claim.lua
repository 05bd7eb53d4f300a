-- Says that a host carries out a request, if no other one does or has, and tells what is known of its key.
-- KEYS: the key; all that were carried out, a sorted set by when they are known no longer; epoch.
-- ARGV: the host; what tells the request from others; milliseconds for which that is known; how many keys there may be; whether more are refused; the epoch that it
--   knows.
-- It answers 0 where that host carries it out, and 'f' if its key had become free; 1 where there is no room; 2, what stands there, and for how many milliseconds it does; 3 where the server
--   has lost what it had.
local value = redis.call('GET', KEYS[1])
local kind = value and string.sub(value, 1, 1)
-- Of a host's own requests with a key one is under way: what stands there of another is over.
local is_own = kind == 'r' and string.sub(value, 34) == ARGV[1]
if value and kind ~= 'f' and not is_own then return { 2, value, redis.call('PTTL', KEYS[1]) } end
if redis.call('GET', KEYS[3]) ~= ARGV[6] then return { 3, '', 0 } end
if ARGV[5] == '1' and not is_own and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then
  local time = redis.call('TIME')
  if redis.call('ZCOUNT', KEYS[2], time[1] * 1000, '+inf') >= tonumber(ARGV[4]) then return { 1, '', 0 } end
end
redis.call('SET', KEYS[1], 'r' .. ARGV[2] .. ARGV[1], 'PX', ARGV[3])
return { 0, kind or '', 0 }
