-- KEYS: generation, granting, lane... ARGV: limit (<= 256), deadline in ms from now, lane name...
-- Moves tasks of the lanes, in the order of the lanes, to `granting`, and answers their tickets: id,
-- score, line, weight, lane, one a line. Within a line the lowest score goes first. Between lines it
-- is the turn of the one that has had the least work; urgent tasks go before it, unless the head of
-- that line is older by score. The score travels as the text that Redis wrote, so that it returns bit
-- for bit. Answers nil if the lanes are not whole.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
local left = tonumber(ARGV[1])
local time = redis.call('TIME')
local deadline = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2])
local tickets = {}

local function take(lane, name, line, weight, count)
  local popped = redis.call('ZPOPMIN', lane .. line, count)
  local grants = {}
  for at = 1, #popped, 2 do
    local ticket = table.concat({popped[at], popped[at + 1], line, weight, name}, '\n')
    grants[#grants + 1] = deadline
    grants[#grants + 1] = ticket
    tickets[#tickets + 1] = ticket
  end
  if #grants > 0 then
    redis.call('ZADD', KEYS[2], unpack(grants))
    left = left - #popped / 2
  end
end

local function head(lane, line)
  return redis.call('ZRANGE', lane .. line, 0, 0, 'WITHSCORES')
end

-- The line whose turn it is, what it has had, and its first task.
local function next_turn(lane)
  while true do
    local first = redis.call('ZRANGE', lane .. '|turns', 0, 0, 'WITHSCORES')
    if not first[1] then
      return nil
    end
    local task = head(lane, first[1])
    if task[1] then
      return first[1], tonumber(first[2]), task
    end
    leave(lane, first[1], tonumber(first[2]))
  end
end

local function take_turn(lane, name, line, from)
  local share = weight(lane, line)
  if from > clock(lane) then
    redis.call('HSET', lane .. '|clock', 'time', string.format('%.3f', from))
    redis.call('EXPIRE', lane .. '|clock', KEPT)
  end
  redis.call('ZINCRBY', lane .. '|turns', string.format('%.3f', cost(lane) / share), line)
  take(lane, name, line, share, 1)
end

-- Answers whether there was a task.
local function take_next(lane, name)
  local line, from, first = next_turn(lane)
  first = first or head(lane, '')
  local urgent = head(lane, '!')
  if urgent[1] and (not first[1] or tonumber(urgent[2]) <= tonumber(first[2])) then
    take(lane, name, '!', 1, 1)
  elseif line then
    take_turn(lane, name, line, from)
  elseif first[1] then
    take(lane, name, '', 1, 1)
  else
    return false
  end
  return true
end

for at = 3, #KEYS do
  local lane, name = KEYS[at], ARGV[at]
  if left <= 0 then
    break
  end
  local is_shared = redis.call('EXISTS', lane .. '|turns') == 1
  if not is_shared and redis.call('EXISTS', lane .. '!') == 0 then
    take(lane, name, '', 1, left)
  else
    if is_shared and redis.call('EXISTS', lane) == 1
      and not redis.call('ZSCORE', lane .. '|turns', '') then
      join(lane, '', had(lane, ''))
    end
    while left > 0 and take_next(lane, name) do end
  end
end
return tickets
