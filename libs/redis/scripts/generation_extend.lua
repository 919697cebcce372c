-- KEYS: rebuilding. ARGV: token, time to live in ms. Answers 1 if the mark is still the caller's.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ':' .. run then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
