-- How some tasks ended, and whether nobody will redrive them. The share lock keeps them from being
-- redriven or discarded before the task that depends on them is stored.
select o.task_id, o.state,
    exists (select from task_discard d where d.task_id = o.task_id) as discarded
from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
join task_outcome o on o.task_id = x.task_id and o.tenant_id = x.tenant_id
order by o.task_id
for share of o
