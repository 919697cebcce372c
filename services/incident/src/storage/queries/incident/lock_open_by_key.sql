-- The open incident of a key, if there is one: new signals belong to it.
select * from incident
where tenant_id = $1 and incident_key = $2 and status not in ('RESOLVED', 'CLOSED')
for update
