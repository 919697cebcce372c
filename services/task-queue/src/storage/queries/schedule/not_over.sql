-- Of some tasks: those that are not over. It is asked once their schedules are locked, in a statement of
-- its own: one that has waited for a lock still sees what was there before it waited.
select r.task_id
from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
join task_run r on r.task_id = x.task_id and r.tenant_id = x.tenant_id
