select * from rule where tenant_id = $1 and id = $2 and delete_time is null
