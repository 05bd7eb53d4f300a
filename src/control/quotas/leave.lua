-- Has a host be no longer one of those that share quotas. KEYS: hosts. ARGV: the host.
return redis.call('ZREM', KEYS[1], ARGV[1])
