-- A schedule for a change, with whether the task of its run before is not over.
select
    s.*,
    exists (
        select from task_run r where r.task_id = s.last_task_id and r.tenant_id = s.tenant_id
    ) as busy
from schedule s
where s.tenant_id = $1 and s.id = $2
for update of s
