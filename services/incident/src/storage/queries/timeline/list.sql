select * from incident_event
where tenant_id = $1 and incident_id = $2 and sequence > $3
order by sequence
limit $4
