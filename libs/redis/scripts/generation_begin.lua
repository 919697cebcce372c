-- KEYS: rebuilding. ARGV: token, time to live in ms.
-- Answers 1 if the caller may rebuild, 0 while another does. A mark of a former server process
-- came out of a snapshot, and its owner has lost what it loaded: it does not count.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local mark = redis.call('GET', KEYS[1])
if mark and string.match(mark, ':(%w*)$') == run then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. run, 'PX', ARGV[2])
return 1
