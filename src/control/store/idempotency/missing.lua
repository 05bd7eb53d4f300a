-- Tells which of keys are not known, or known as what a host still carries out. KEYS: these. ARGV: the host.
local all = {}
for at, key in ipairs(KEYS) do
  local head = redis.call('GETRANGE', key, 0, 48)
  if head == '' or (string.sub(head, 1, 1) == 'r' and string.sub(head, 34) == ARGV[1]) then all[#all + 1] = at end
end
return all
