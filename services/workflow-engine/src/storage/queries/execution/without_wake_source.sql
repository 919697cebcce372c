select exists (select from execution_without_wake_source where tenant_id = $1 and id = $2)
