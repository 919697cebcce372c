select exists (select from signal where rule_id = $1 and event_id = $2)
