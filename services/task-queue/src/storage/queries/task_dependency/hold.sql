-- Which of these tasks are not over. The share lock keeps them from ending before the task that
-- waits for them is stored.
select r.task_id
from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
join task_run r on r.task_id = x.task_id and r.tenant_id = x.tenant_id
order by r.task_id
for share of r
