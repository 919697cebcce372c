-- KEYS: granting, lane... ARGV: (ticket, index of its lane from 0, line, weight, score, id)...
-- Returns those tickets to their lines that are still granted, and takes off what their line was
-- charged for them. NX: one that was pushed anew since keeps its newer score. Answers how many were
-- still granted.
local returned = 0
for at = 1, #ARGV, 6 do
  if redis.call('ZREM', KEYS[1], ARGV[at]) == 1 then
    local lane, line, share = KEYS[2 + ARGV[at + 1]], ARGV[at + 2], ARGV[at + 3]
    local was_empty = redis.call('EXISTS', lane .. line) == 0
    redis.call('ZADD', lane .. line, 'NX', ARGV[at + 4], ARGV[at + 5])
    returned = returned + 1
    local charged = cost(lane) / tonumber(share)
    if redis.call('ZSCORE', lane .. '|turns', line) and not was_empty then
      redis.call('ZINCRBY', lane .. '|turns', string.format('%.3f', -charged), line)
    elseif string.sub(line, 1, 1) == '=' then
      join(lane, line, had(lane, line) - charged)
      if tonumber(share) ~= 1 then
        redis.call('HSET', lane .. '|weights', line, share)
      end
    end
  end
end
return returned
