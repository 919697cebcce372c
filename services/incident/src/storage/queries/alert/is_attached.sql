-- Two rules may find the same event; it counts once for an incident.
select exists (select from signal where tenant_id = $1 and event_id = $2 and incident_id = $3)
