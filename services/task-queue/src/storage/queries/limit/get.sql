select * from task_limit where tenant_id = $1 and name = $2
