select * from event
where tenant_id = $1 and position between $2 and $3
order by position
limit $4
