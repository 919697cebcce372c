-- KEYS: bucket. ARGV: capacity, tokens a second, cost.
-- Takes the tokens and answers 0, or takes none and answers in how many ms there are enough.
local capacity, rate, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'time')
local tokens = tonumber(bucket[1]) or capacity
-- After a fail-over the new server's clock may be behind: then nothing refills, and nothing breaks.
local passed = math.max(0, now - (tonumber(bucket[2]) or now))
tokens = math.min(capacity, tokens + passed * rate / 1000)
local wait = 0
if tokens >= cost then
  tokens = tokens - cost
else
  wait = math.max(1, math.ceil((cost - tokens) * 1000 / rate))
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'time', string.format('%.3f', now))
-- A bucket that is full again is no different from none.
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil((capacity - tokens) * 1000 / rate) + 1000))
return wait
