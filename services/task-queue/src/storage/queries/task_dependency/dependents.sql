-- Who waits for these tasks; one row for each pair.
select d.tenant_id, d.task_id, d.depends_on
from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
join task_dependency d on d.depends_on = x.task_id and d.tenant_id = x.tenant_id
