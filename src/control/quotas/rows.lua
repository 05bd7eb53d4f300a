-- Tells of the rows of a quota, some at a time. KEYS: rows. ARGV: where to go on.
return redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', 1000)
