delete from task_type where tenant_id = $1 and id = $2
