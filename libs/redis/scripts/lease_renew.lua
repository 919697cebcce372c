-- KEYS: expiry. ARGV: (time to live in ms, id)...
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local members = {}
for at = 1, #ARGV, 2 do
  members[at] = string.format('%.0f', now + ARGV[at])
  members[at + 1] = ARGV[at + 1]
end
redis.call('ZADD', KEYS[1], unpack(members))
return redis.status_reply('OK')
