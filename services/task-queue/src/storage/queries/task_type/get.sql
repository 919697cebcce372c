select * from task_type where tenant_id = $1 and name = $2
