select coalesce(max(position), 0) from tenant_log where tenant_id = $1
