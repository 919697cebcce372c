-- Which of these tasks exist, each in its tenant.
select t.tenant_id, t.id
from unnest($1::uuid[], $2::uuid[]) as x (id, tenant_id)
join task t on t.id = x.id and t.tenant_id = x.tenant_id
