-- Tells what is known of keys, and for how many milliseconds. KEYS: these. ARGV: bytes of which there is little more in an answer.
-- For each: 0 where nothing is; 1 where it did not fit in; or 2, what stands there, and the milliseconds.
local all, bytes = {}, 0
for at, key in ipairs(KEYS) do
  local value = bytes <= tonumber(ARGV[1]) and redis.pcall('GET', key)
  if bytes > tonumber(ARGV[1]) then
    all[at] = { 1, '', 0 }
  elseif not value then
    all[at] = { 0, '', 0 }
  elseif type(value) ~= 'string' then
    -- It is of another type, and nothing that we have written.
    all[at] = { 2, '', -1 }
  else
    bytes = bytes + #value
    all[at] = { 2, value, redis.call('PTTL', key) }
  end
end
return all
