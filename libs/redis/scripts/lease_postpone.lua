-- KEYS: expiry. ARGV: time in ms before which a lease counts as expired, time to live in ms, limit.
-- Gives up to `limit` expired leases a new expiry, which lies after that time, so that each is
-- moved once. Answers how many; 0 when none is left.
local time = redis.call('TIME')
local now = math.max(time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[3])
local expiry = string.format('%.0f', now + ARGV[2])
for _, id in ipairs(expired) do
  redis.call('ZADD', KEYS[1], expiry, id)
end
return #expired
