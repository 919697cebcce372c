update signal set incident_id = $3 where rule_id = $1 and event_id = $2
