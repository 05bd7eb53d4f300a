-- Tells of the keys of tickets that hosts share, and replaces them if they are still what they were.
-- KEYS: the keys, sealed. ARGV: what they were; what they are to be ('': as they are); milliseconds for which they are kept.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local present = redis.call('GET', KEYS[1]) or ''
if ARGV[2] ~= '' and present == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  present = ARGV[2]
end
return { present, now }
