select * from event where tenant_id = $1 and event_id = $2
