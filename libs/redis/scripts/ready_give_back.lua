-- KEYS: granting, lane... ARGV: (ticket, index of its lane from 0, score, id)...
-- Returns those tickets to their lanes that are still granted. NX: one that was pushed anew since
-- keeps its newer score. Answers how many were still granted.
local returned = 0
for at = 1, #ARGV, 4 do
  if redis.call('ZREM', KEYS[1], ARGV[at]) == 1 then
    redis.call('ZADD', KEYS[2 + ARGV[at + 1]], 'NX', ARGV[at + 2], ARGV[at + 3])
    returned = returned + 1
  end
end
return returned
