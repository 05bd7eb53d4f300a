-- Takes what a host has changed of bans, and tells what has changed since it asked last.
-- KEYS: bans, a hash by client; until, a sorted set of them by their end; changes, a sorted set of them by the number of their change;
--   number, the number of the last change.
-- ARGV: the last change that the host knows; how many changes it takes; then three for each client: which, what is put back or new ('again',
--   'ban', 'lift'), and a record that begins with the milliseconds for which it holds (-1: it has no end), the rule ('' where there is none), why.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Records of what is over, lifts included, which are kept for a day.
for _, client in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 500)) do
  redis.call('HDEL', KEYS[1], client)
  redis.call('ZREM', KEYS[2], client)
  redis.call('ZREM', KEYS[3], client)
end
for at = 3, #ARGV, 3 do
  local client, what, record = ARGV[at], ARGV[at + 1], cjson.decode(ARGV[at + 2])
  local kept = redis.call('HGET', KEYS[1], client)
  local known = kept and cjson.decode(kept)
  local stands = known and not known.lifted
  local ends = record.left >= 0 and now + record.left or -1
  local wanted = true
  if what == 'again' then
    wanted = not known
  elseif what == 'lift' then
    wanted = not (known and known.lifted)
  elseif stands and record.rule ~= '' then
    -- Rules shorten no ban.
    wanted = known.ends ~= -1 and (ends == -1 or ends > known.ends)
  end
  if wanted and (known or redis.call('HLEN', KEYS[1]) < 200000) then
    local number = redis.call('INCR', KEYS[4])
    local lifted = what == 'lift'
    local entry = { ends = lifted and 0 or ends, rule = record.rule, reason = record.reason, lifted = lifted }
    redis.call('HSET', KEYS[1], client, cjson.encode(entry))
    redis.call('ZADD', KEYS[3], number, client)
    redis.call('ZADD', KEYS[2], lifted and now + 86400000 or (ends == -1 and '+inf' or ends), client)
  end
end
local last = tonumber(redis.call('GET', KEYS[4]) or '0')
local from = tonumber(ARGV[1])
-- A host that knows more than there is asks one that has lost its data.
if from > last then return { -1, now, {} } end
local told = {}
local clients = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. from, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for at = 1, #clients, 2 do
  local record = redis.call('HGET', KEYS[1], clients[at])
  if record then
    told[#told + 1] = clients[at]
    told[#told + 1] = record
  end
end
local reached = last
if #clients >= 2 * tonumber(ARGV[2]) then reached = tonumber(clients[#clients]) end
return { reached, now, told }
