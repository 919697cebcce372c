-- KEYS: expiry. ARGV: (expiry in ms, id)... Removes the leases that still have this expiry, which
-- leaves alone those renewed since. Answers how many.
local forgotten = 0
for at = 1, #ARGV, 2 do
  if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[at + 1]) or -1) == tonumber(ARGV[at]) then
    forgotten = forgotten + redis.call('ZREM', KEYS[1], ARGV[at + 1])
  end
end
return forgotten
