-- KEYS: lane. ARGV: (line, weight, ms)...
-- Tasks took so long: their lines were charged what a task usually takes, and are charged the
-- difference.
local lane = KEYS[1]
for at = 1, #ARGV, 3 do
  local line, share, ms = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local usual = cost(lane)
  local more = (ms - usual) / share
  if redis.call('ZSCORE', lane .. '|turns', line) then
    redis.call('ZINCRBY', lane .. '|turns', string.format('%.3f', more), line)
  else
    local had = redis.call('ZSCORE', lane .. '|idle', line) or clock(lane)
    if tonumber(had) + more > clock(lane) then
      rest(lane, line, tonumber(had) + more)
    else
      redis.call('ZREM', lane .. '|idle', line)
    end
  end
  local usually = string.format('%.3f', usual + (ms - usual) / 10)
  redis.call('HSET', lane .. '|clock', 'cost', usually)
  redis.call('EXPIRE', lane .. '|clock', KEPT)
end
return redis.status_reply('OK')
