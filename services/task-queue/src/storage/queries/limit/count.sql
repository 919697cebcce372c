select count(*) from task_limit where tenant_id = $1
