-- Says that a host is there, and learns who else is.
-- KEYS: hosts, a sorted set by when each was heard of; epoch, when what is shared has
--   begun, in milliseconds since 1970, and something that tells it from others.
-- ARGV: who says so; after how many milliseconds one is forgotten; what tells an epoch, if there is none yet; whether it leaves.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- When this one was heard of before, as far as the server knows.
local before = redis.call('ZSCORE', KEYS[1], ARGV[1]) or '-1'
redis.call('SET', KEYS[2], string.format('%.0f-%s', now, ARGV[3]), 'NX')
if ARGV[4] == '1' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], now, ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
return { redis.call('GET', KEYS[2]), redis.call('ZRANGE', KEYS[1], 0, 999), before, now }
