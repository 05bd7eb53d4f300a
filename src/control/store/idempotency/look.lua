-- Tells what is known of keys, and for how many milliseconds. KEYS: these. ARGV: bytes of which there is little more in an answer.
-- '=': this one did not fit in.
local all, bytes = {}, 0
for at, key in ipairs(KEYS) do
  if bytes > tonumber(ARGV[1]) then
    all[at] = { '=', 0 }
  else
    local value = redis.call('GET', key) or ''
    bytes = bytes + #value
    all[at] = { value, redis.call('PTTL', key) }
  end
end
return all
