update hold h
set state = s.state, actual = s.actual, close_time = s.close_time
from jsonb_populate_recordset(null::hold, $1) as s
where h.id = s.id and h.tenant_id = s.tenant_id
