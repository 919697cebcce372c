-- KEYS: generation, granting, lane... ARGV: limit (<= 256), deadline in ms from now, lane name...
-- Moves the lowest scores of the lanes, in the order of the lanes, to `granting`, and answers their
-- tickets: id, score, lane, one a line. The score travels as the text that Redis wrote, so that it
-- returns bit for bit. Answers nil if the lanes are not whole.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
local left = tonumber(ARGV[1])
local time = redis.call('TIME')
local deadline = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2])
local tickets = {}
for lane = 3, #KEYS do
  if left <= 0 then
    break
  end
  local popped = redis.call('ZPOPMIN', KEYS[lane], left)
  local grants = {}
  for at = 1, #popped, 2 do
    local ticket = popped[at] .. '\n' .. popped[at + 1] .. '\n' .. ARGV[lane]
    grants[#grants + 1] = deadline
    grants[#grants + 1] = ticket
    tickets[#tickets + 1] = ticket
  end
  if #grants > 0 then
    redis.call('ZADD', KEYS[2], unpack(grants))
    left = left - #popped / 2
  end
end
return tickets
