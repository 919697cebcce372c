-- KEYS: rebuilding, generation. ARGV: token.
-- Answers 1 and declares the structure whole if the mark of `begin` is still there.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local mark = ARGV[1] .. ':' .. run
if redis.call('GET', KEYS[1]) ~= mark then
  return 0
end
redis.call('SET', KEYS[2], mark)
redis.call('DEL', KEYS[1])
return 1
