-- Closes the gates of tasks that ended while they waited behind them. Their runs are locked.
update task_gate g set state = 4, close_time = $3
from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
where g.task_id = x.task_id and g.tenant_id = x.tenant_id and g.state = 1
