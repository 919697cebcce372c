-- One gate of a task.
select * from task_gate where id = $1 and task_id = $2 and tenant_id = $3
