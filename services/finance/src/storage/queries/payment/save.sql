update payment p
set version = p.version + 1, status = s.status, process_time = s.process_time,
    processor_response = s.processor_response
from jsonb_populate_recordset(null::payment, $1) as s
where p.tenant_id = s.tenant_id and p.id = s.id and p.version = s.version
