-- The one lookup that knows no tenant yet: the key says which it is. Validity is judged by the caller,
-- so that every kind of worthless key takes the same way.
select id, tenant_id, name, kind, permissions, created_by, create_time, expire_time, revoke_time,
       last_use_time, secret_hash
from api_key
where id = $1
