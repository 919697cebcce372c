update tenant_log set position = head.position, hash = head.hash
from unnest($1::uuid[], $2::bigint[], $3::bytea[]) as head (tenant_id, position, hash)
where tenant_log.tenant_id = head.tenant_id
