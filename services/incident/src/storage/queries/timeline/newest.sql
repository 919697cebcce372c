select * from (
    select * from incident_event
    where tenant_id = $1 and incident_id = $2
    order by sequence desc
    limit $3
) newest
order by sequence
