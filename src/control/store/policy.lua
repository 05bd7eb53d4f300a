-- Tells how the server makes room where it is full, if it does by throwing away what it has; '' where it does not, or does not say.
local said = redis.pcall('INFO', 'memory')
if type(said) ~= 'string' then return '' end
local policy = string.match(said, 'maxmemory_policy:([%w-]+)') or ''
if policy == 'noeviction' or string.match(said, 'maxmemory:0%D') then return '' end
return policy
