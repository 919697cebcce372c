-- Comes before each script that touches lanes. A lane is shared out between lines:
--   LANE         ZSET: tasks without a key; their line is called ''
--   LANE!        ZSET: urgent tasks, which wait for nobody's turn; '!'
--   LANE=<key>   ZSET: the tasks of a key; '=<key>'
-- Only a lane that has had tasks with a key also has:
--   LANE|turns   ZSET: line that has tasks -> the work that it has had: ms by weight
--   LANE|idle    ZSET: the same of lines without tasks that have had more than the clock says
--   LANE|weights HASH: line -> weight, where that is not 1
--   LANE|clock   HASH: time (what the line whose turn it was last had had), cost (ms that a task
--                takes, of late)
local KEPT = 86400

local function clock(lane)
  return tonumber(redis.call('HGET', lane .. '|clock', 'time') or 0)
end

local function cost(lane)
  return tonumber(redis.call('HGET', lane .. '|clock', 'cost') or 1000)
end

local function weight(lane, line)
  return tonumber(redis.call('HGET', lane .. '|weights', line) or 1)
end

-- What a line has had, as far as it is known.
local function had(lane, line)
  local known = redis.call('ZSCORE', lane .. '|turns', line)
    or redis.call('ZSCORE', lane .. '|idle', line)
  return tonumber(known or 0)
end

-- A line that has tasks again goes on from where it was, and not from before where the others are:
-- who was away has saved nothing up.
local function join(lane, line, from)
  redis.call('ZREM', lane .. '|idle', line)
  local score = string.format('%.3f', math.max(from, clock(lane)))
  redis.call('ZADD', lane .. '|turns', score, line)
end

-- A line without tasks.
local function leave(lane, line, from)
  redis.call('ZREM', lane .. '|turns', line)
  redis.call('HDEL', lane .. '|weights', line)
  redis.call('ZREMRANGEBYSCORE', lane .. '|idle', '-inf', clock(lane))
  if from > clock(lane) then
    redis.call('ZADD', lane .. '|idle', string.format('%.3f', from), line)
    redis.call('EXPIRE', lane .. '|idle', KEPT)
  else
    redis.call('ZREM', lane .. '|idle', line)
  end
end
