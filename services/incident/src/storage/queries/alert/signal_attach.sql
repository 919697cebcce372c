update signal set incident_id = $4 where tenant_id = $1 and rule_id = $2 and event_id = $3
