-- Notes that budgets were asked in vain. Nothing about the tasks has changed, so neither has their
-- version.
update task_run r
set ask_time = $4
from unnest($1::uuid[], $2::uuid[], $3::integer[]) as x (task_id, tenant_id, version)
where r.task_id = x.task_id and r.tenant_id = x.tenant_id and r.version = x.version and r.state = 1
