select position from rule_cursor where tenant_id = $1 for update
