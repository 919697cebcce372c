select count(*) from rule where tenant_id = $1 and delete_time is null
