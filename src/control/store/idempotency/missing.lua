-- Tells which of keys are not known, or known as what a host still carries out. KEYS: these. ARGV: the host.
local all = {}
for at, key in ipairs(KEYS) do
  local head = redis.pcall('GETRANGE', key, 0, 48)
  if type(head) == 'string' then
    local kind = string.sub(head, 1, 1)
    if kind == '' or kind == 'f' or (kind == 'r' and string.sub(head, 34) == ARGV[1]) then all[#all + 1] = at end
  end
end
return all
