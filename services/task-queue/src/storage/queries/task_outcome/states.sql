-- How some tasks ended.
select o.task_id, o.state
from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
join task_outcome o on o.task_id = x.task_id and o.tenant_id = x.tenant_id
