update rule_cursor set position = $2 where tenant_id = $1
