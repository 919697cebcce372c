update usage_record u set price_time = $3
from unnest($1::uuid[], $2::uuid[]) as k (tenant_id, id)
where (u.tenant_id, u.id) = (k.tenant_id, k.id) and u.status = 'UNPRICED'
