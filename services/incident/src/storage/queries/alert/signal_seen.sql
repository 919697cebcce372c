select exists (select from signal where tenant_id = $1 and rule_id = $2 and event_id = $3)
