-- Two rules may find the same event; it counts once for an incident.
select exists (select from signal where event_id = $1 and incident_id = $2)
