select * from rule where tenant_id = $1 and delete_time is null and enabled order by name
