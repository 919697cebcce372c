-- KEYS: lane. ARGV: (line, weight, ms)...
-- Tasks took so long: their lines were charged what a task usually takes, and are charged the
-- difference.
local lane = KEYS[1]
for at = 1, #ARGV, 3 do
  local line, share, ms = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local usual = cost(lane)
  local more = (ms - usual) / share
  if redis.call('EXISTS', lane .. line) == 1 then
    redis.call('ZINCRBY', lane .. '|turns', string.format('%.3f', more), line)
  else
    leave(lane, line, math.max(had(lane, line), clock(lane)) + more)
  end
  local usually = string.format('%.3f', usual + (ms - usual) / 10)
  redis.call('HSET', lane .. '|clock', 'cost', usually)
  redis.call('EXPIRE', lane .. '|clock', KEPT)
end
return redis.status_reply('OK')
