select id, tenant_id, name, kind, permissions, created_by, create_time, expire_time, revoke_time,
       last_use_time
from api_key
where tenant_id = $1 and id = $2
