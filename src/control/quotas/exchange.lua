-- Changes rows of a quota that say what a host knows of them, and tells what others have told.
-- KEYS: epoch; hosts, a sorted set by when each was heard of; rows, a hash by key; low, a sorted set of keys by the number of their call; number, the
--   last of these numbers.
-- ARGV: the epoch that the host knows; the host; milliseconds for which rows are kept; the last call that it has heard; how many calls it makes;
--   how many rows there may be; the keys of its calls; then three for each row: its key, what it was, what it is to be.
-- Of each row it answers '=' where it is changed, '!' where there is no room for one more, or '~' and what it says.
local epoch = redis.call('GET', KEYS[1]) or ''
if epoch ~= ARGV[1] then return { epoch, 0, {}, {}, {} } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 7200000)
local calls = tonumber(ARGV[5])
for at = 7, 6 + calls do
  redis.call('ZADD', KEYS[4], redis.call('INCR', KEYS[5]), ARGV[at])
end
-- Who has not heard an older call by now is called again.
if calls > 0 then redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -10001) end
local room = tonumber(ARGV[6]) - redis.call('HLEN', KEYS[3])
local answers = {}
for at = 7 + calls, #ARGV, 3 do
  local row = redis.call('HGET', KEYS[3], ARGV[at]) or ''
  if row == ARGV[at + 1] and row == '' and room <= 0 then
    answers[#answers + 1] = '!'
  elseif row == ARGV[at + 1] then
    if row == '' then room = room - 1 end
    if row ~= ARGV[at + 2] then redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 2]) end
    answers[#answers + 1] = '='
  else
    answers[#answers + 1] = '~' .. row
  end
end
for _, key in ipairs({ KEYS[3], KEYS[4], KEYS[5] }) do redis.call('PEXPIRE', key, ARGV[3]) end
return {
  epoch,
  now,
  redis.call('ZRANGE', KEYS[2], 0, 999, 'WITHSCORES'),
  redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. ARGV[4], '+inf', 'WITHSCORES', 'LIMIT', 0, 1000),
  answers,
}
