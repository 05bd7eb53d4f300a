-- The ledger of which host has which part of which key. `ledger.rs` beside it says the same in Rust; a test holds one to the other.
--
-- What always holds: of each key, what hosts have is together no more than there is. A host gives up before it tells of that here, and takes
-- only what it was told here to be its. The ledger has a clock of its own, which stands still while nobody comes.
--
-- KEYS: what the names of all keys begin with.
-- ARGV: hosts, milliseconds until one is forgotten, the time or nothing; of the host that calls: who it is, the number of the call, the ledger it knows,
-- a name for a new one, whether it joins, whether it has even parts, its role, how far it knows what is divided, who it knows to be in the
-- ledger, those before it that are dead, whether it leaves, the number of the last call that was answered; of each key that it tells of: the key, its share, what is used, what is asked for, milliseconds in
-- which what is used comes back.
local UNIT, FULL, MOST, AT_ONCE, IDLE, MOST_ASKED = 720720, 1000000, 4096, 256, 10000, 1000000000
local prefix, hosts, forget = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local even = math.floor(UNIT / hosts)
local least = math.max(1, math.floor(even / 50))
local slack = math.floor(even / 200)
local id, number, known = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[11])
local lasts = forget * 6 + 60000

local function text(value)
  return string.format('%.0f', value)
end

local now = tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local meta = redis.call('HMGET', prefix, 'name', 'clock', 'last', 'settled', 'version')
local name, clock, settled, version = meta[1], tonumber(meta[2]), meta[4] == '1', tonumber(meta[5])
local last = tonumber(meta[3])
local is_old = false
if name then
  local mine = redis.call('HGET', prefix .. ':hosts:' .. name, id)
  is_old = mine and tonumber(string.match(mine, '(%d+)$')) < tonumber(ARGV[15])
end
if not name or not last or now - last > math.floor(forget / 4) or is_old then
  -- Hosts may have gone back to even parts, or the server to what it once knew.
  name, clock, settled, version = ARGV[7], 0, false, 0
else
  clock = clock + math.max(0, math.min(now - last, math.floor(forget / 10)))
end

local function called(what)
  return prefix .. ':' .. what .. ':' .. name
end
local registry, expected, order = called('hosts'), called('expected'), called('order')
local function place(key)
  return called('key') .. ':' .. key
end
local function news(host)
  return called('news') .. ':' .. host
end

local function keep()
  redis.call('HSET', prefix, 'name', name, 'clock', text(clock), 'last', text(now), 'settled', settled and '1' or '0',
    'version', text(version))
  redis.call('PEXPIRE', prefix, lasts)
  for _, all in ipairs({ registry, expected, order }) do
    redis.call('PEXPIRE', all, lasts)
  end
end

-- Who is there.
local members = {}
local all = redis.call('HGETALL', registry)
local dead = {}
for one in string.gmatch(ARGV[13], '[^,]+') do
  dead[one] = true
end
for at = 1, #all, 2 do
  local role, seen, nth = string.match(all[at + 1], '^(%a) (%d+) (%d+)$')
  if dead[all[at]] or clock - tonumber(seen) > forget then
    redis.call('HDEL', registry, all[at])
  else
    members[all[at]] = { role = role, seen = tonumber(seen), number = tonumber(nth) }
  end
end
local function sharing()
  local count = 0
  for _, member in pairs(members) do
    if member.role ~= 'x' then
      count = count + 1
    end
  end
  return count
end

local me = members[id]
if me and number <= me.number then
  keep()
  return { 'late' }
end
if ARGV[14] == '1' then
  redis.call('HDEL', registry, id)
  redis.call('DEL', news(id))
  keep()
  return { 'done', name, settled and '1' or '0', '-', '0', '' }
end
local joins, is_even = ARGV[8] == '1', ARGV[9] == '1'
if ARGV[6] ~= name or not me and (not joins or settled and is_even) then
  if not settled then
    for one in string.gmatch(ARGV[12], '[^,]+') do
      redis.call('SADD', expected, one)
    end
  end
  keep()
  return { 'join', name, settled and '1' or '0' }
end
if not me then
  me = { role = 'x' }
  if sharing() < hosts then
    me.role = is_even and 'e' or 'l'
  end
  members[id] = me
elseif joins and not is_even and me.role == 'e' then
  me.role = 'l'
end
me.seen, me.number = clock, number
if not settled then
  local is_complete, others = true, redis.call('SMEMBERS', expected)
  for _, one in ipairs(others) do
    if not members[one] then
      is_complete = false
    end
  end
  settled = clock >= forget or is_complete and (sharing() >= hosts or #others > 0 and clock >= math.floor(forget / 10))
end
if me.role == 'x' and sharing() < hosts then
  me.role = 'l'
elseif me.role == 'l' and settled and ARGV[10] == 'l' and known == version then
  me.role = 'e'
elseif me.role == 'l' and not settled and clock >= math.floor(forget / 10) * 3 then
  me.role = 'e'
end
redis.call('HSET', registry, id, me.role .. ' ' .. text(me.seen) .. ' ' .. text(me.number))

local count = sharing()
local answer = {}
local told = {}

local function share_of(entry, host)
  return entry.share[host] or least
end
local function free(entry)
  local left = UNIT - (hosts - count) * least
  for host, member in pairs(members) do
    if member.role ~= 'x' then
      left = left - share_of(entry, host)
    end
  end
  return math.max(0, left)
end
-- What of a burst is used of two parts that become one.
local function used(one, one_debt, other, other_debt)
  if one + other == 0 then
    return FULL
  end
  return math.ceil((one * one_debt + other * other_debt) / (one + other))
end
local function pool(entry)
  return table.concat({ text(entry.debt), text(entry.time), text(clock), text(entry.recovery) }, ' ')
end
local function load(key)
  local fields = redis.call('HGETALL', place(key))
  if #fields == 0 then
    return nil
  end
  local entry, lost = { share = {}, asked = {} }, 0
  for at = 1, #fields, 2 do
    local host = fields[at]
    local one, other, since, recovery = string.match(fields[at + 1], '^(%d+) (%d+) ?(%d*) ?(%d*)$')
    if host == '@' then
      entry.debt, entry.time, entry.recovery = tonumber(one), tonumber(other), tonumber(recovery)
      if entry.recovery > 0 then
        -- What nobody has comes back, too.
        local passed = math.min(clock - tonumber(since), 1000000000)
        entry.debt = math.max(0, entry.debt - math.floor(passed * FULL / entry.recovery))
      end
    elseif members[host] and members[host].role ~= 'x' then
      entry.share[host], entry.asked[host] = tonumber(one), tonumber(other)
    else
      lost = lost + tonumber(one)
      redis.call('HDEL', place(key), host)
    end
  end
  -- What of it was used cannot be known.
  if lost > 0 then
    local all = free(entry)
    local before = math.max(0, all - lost)
    entry.debt = used(before, entry.debt, all - before, FULL)
    redis.call('HSET', place(key), '@', pool(entry))
  end
  return entry
end
local function save(key, entry)
  local fields = { '@', pool(entry) }
  for host, share in pairs(entry.share) do
    fields[#fields + 1] = host
    fields[#fields + 1] = text(share) .. ' ' .. text(entry.asked[host] or 0)
  end
  redis.call('HSET', place(key), unpack(fields))
  redis.call('PEXPIRE', place(key), lasts)
end
local function asked_of(entry)
  local total = 0
  for _, asked in pairs(entry.asked) do
    total = total + asked
  end
  return total
end
-- What a host is to have, and whether nobody has asked for the key in a while.
local function wish(entry, host)
  local total = asked_of(entry)
  if total > 0 then
    return least + math.floor((UNIT - hosts * least) * (entry.asked[host] or 0) / total), false
  elseif clock - entry.time >= IDLE then
    return members[host].role == 'e' and even or least, true
  end
  return share_of(entry, host), false
end
local function tell(key, entry, debt)
  told[key] = true
  local words = { key, '1', '0', '0', '0' }
  if entry then
    local share = share_of(entry, id)
    local down, idle = wish(entry, id)
    if down > share or not idle and share - down <= slack then
      down = share
    end
    words = { key, '0', text(share), text(down), text(debt) }
  end
  for _, word in ipairs(words) do
    answer[#answer + 1] = word
  end
end

if settled and me.role ~= 'x' then
  for at = 16, #ARGV, 5 do
    local key, share, debt = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local asked = math.min(tonumber(ARGV[at + 3]), MOST_ASKED)
    local entry = load(key)
    if not entry and asked > 0 and redis.call('ZCARD', order) < MOST then
      entry = { share = {}, asked = {}, debt = FULL, time = clock, recovery = 0 }
      for host, member in pairs(members) do
        if member.role ~= 'x' then
          entry.share[host] = member.role == 'e' and even or least
        end
      end
      version = version + 1
      redis.call('ZADD', order, version, key)
    end
    if not entry then
      redis.call('ZREM', order, key)
      tell(key, nil, 0)
    else
      local mine = share_of(entry, id)
      share = math.max(share, least)
      entry.recovery = tonumber(ARGV[at + 4])
      if share < mine then
        entry.debt = used(free(entry), entry.debt, mine - share, debt)
        mine = share
      end
      entry.share[id], entry.asked[id] = mine, asked
      if asked > 0 then
        entry.time = clock
      end
      local up = wish(entry, id)
      entry.share[id] = mine + math.max(0, math.min(free(entry), up - mine))
      local is_even_everywhere = true
      for host, member in pairs(members) do
        if member.role ~= 'x' then
          local has = share_of(entry, host)
          local down, idle = wish(entry, host)
          if host ~= id and (has - down > slack or idle and has > down) then
            redis.call('SADD', news(host), key)
            redis.call('PEXPIRE', news(host), lasts)
          end
          is_even_everywhere = is_even_everywhere and idle and has == down
        end
      end
      if is_even_everywhere then
        redis.call('DEL', place(key))
        redis.call('ZREM', order, key)
        tell(key, nil, 0)
      else
        save(key, entry)
        tell(key, entry, entry.debt)
      end
    end
  end
  local fresh = redis.call('SMEMBERS', news(id))
  table.sort(fresh)
  for at = 1, math.min(#fresh, AT_ONCE) do
    local key = fresh[at]
    redis.call('SREM', news(id), key)
    if not told[key] then
      tell(key, load(key), FULL)
    end
  end
  if me.role == 'l' then
    local page = redis.call('ZRANGEBYSCORE', order, '(' .. text(known), '+inf', 'WITHSCORES', 'LIMIT', 0, AT_ONCE)
    for at = 1, #page, 2 do
      if not told[page[at]] then
        local entry = load(page[at])
        if entry then
          tell(page[at], entry, FULL)
        else
          redis.call('ZREM', order, page[at])
        end
      end
      known = tonumber(page[at + 1])
    end
    if #page < AT_ONCE * 2 then
      known = version
    end
  else
    known = version
  end
else
  known = 0
end
keep()
local names = {}
for host in pairs(members) do
  names[#names + 1] = host
end
table.sort(names)
local head = { 'done', name, settled and '1' or '0', me.role, text(known), table.concat(names, ',') }
for _, word in ipairs(answer) do
  head[#head + 1] = word
end
return head
