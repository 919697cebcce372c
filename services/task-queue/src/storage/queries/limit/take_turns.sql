-- Whoever takes places of one of these allowances waits until the others that do are over; in one
-- order, so that two cannot wait for each other.
select pg_advisory_xact_lock(key)
from (
    select distinct hashtextextended(tenant_id::text || '/' || allowance, 0) as key
    from unnest($1::uuid[], $2::text[]) as x (tenant_id, allowance)
    order by key
) as keys
