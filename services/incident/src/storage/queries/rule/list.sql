select * from rule
where tenant_id = $1 and delete_time is null and name > $2
order by name
limit $3
