-- KEYS: lane. ARGV: (line, weight, score, id)...
-- Adds tasks with a key to their lines. A line has the weight that was said last.
local lane = KEYS[1]
for at = 1, #ARGV, 4 do
  local line, share = ARGV[at], ARGV[at + 1]
  local was_empty = redis.call('EXISTS', lane .. line) == 0
  redis.call('ZADD', lane .. line, ARGV[at + 2], ARGV[at + 3])
  if tonumber(share) == 1 then
    redis.call('HDEL', lane .. '|weights', line)
  else
    redis.call('HSET', lane .. '|weights', line, share)
  end
  if was_empty then
    join(lane, line, had(lane, line))
  end
end
return redis.status_reply('OK')
