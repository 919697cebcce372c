-- KEYS: stream. ARGV: entries to keep, (last seq, first seq, payload)...
-- Appends the entries with the id `<last seq>-0`, and passes over those that are not newer than
-- the newest. Answers how many were appended. Sequence numbers are exact up to 2^53.
local newest = 0
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then
      newest = tonumber(string.match(info[at + 1], '^%d+'))
    end
  end
end
local appended = 0
for at = 2, #ARGV, 3 do
  local seq = tonumber(ARGV[at])
  if seq > newest then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], ARGV[at] .. '-0',
      'first', ARGV[at + 1], 'payload', ARGV[at + 2])
    newest = seq
    appended = appended + 1
  end
end
return appended
