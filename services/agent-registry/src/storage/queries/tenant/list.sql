select id, name, create_time from tenant
where $1::uuid is null or id > $1
order by id
limit $2
