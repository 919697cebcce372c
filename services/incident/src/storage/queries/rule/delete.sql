update rule set delete_time = $3, enabled = false, version = version + 1
where tenant_id = $1 and id = $2 and delete_time is null
