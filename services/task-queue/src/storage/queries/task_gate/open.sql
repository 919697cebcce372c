-- The open gate of a task.
select * from task_gate where task_id = $1 and tenant_id = $2 and state = 1
