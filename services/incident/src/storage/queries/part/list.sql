select id, kind, body from incident_part
where tenant_id = $1 and incident_id = $2
order by id
