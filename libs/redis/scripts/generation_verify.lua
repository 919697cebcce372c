-- KEYS: generation. Answers 1 if the structure is whole, else 0.
-- A value that another server process wrote came out of a snapshot or from a former primary:
-- what was written after it may be missing, so the key goes and every pop notices.
local current = redis.call('GET', KEYS[1])
if not current then
  return 0
end
local info = redis.pcall('INFO', 'server') -- may be forbidden to us; then only the key counts
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
if string.match(current, ':(%w*)$') == run then
  return 1
end
redis.call('DEL', KEYS[1])
return 0
