-- The time of an open gate is over. The run of its task is locked.
update task_gate set state = 3, close_time = $3 where id = $1 and tenant_id = $2 and state = 1
