-- KEYS: lane. ARGV: (line, weight, score, id)...
-- Adds tasks with a key to their lines. A line has the weight that was said last.
local lane = KEYS[1]
for at = 1, #ARGV, 4 do
  local line, share = ARGV[at], ARGV[at + 1]
  redis.call('ZADD', lane .. line, ARGV[at + 2], ARGV[at + 3])
  if tonumber(share) == 1 then
    redis.call('HDEL', lane .. '|weights', line)
  else
    redis.call('HSET', lane .. '|weights', line, share)
  end
  join(lane, line)
end
return redis.status_reply('OK')
