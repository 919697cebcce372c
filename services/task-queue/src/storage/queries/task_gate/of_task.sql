-- Gates of a task, oldest first.
select * from task_gate where task_id = $1 and tenant_id = $2 order by id
