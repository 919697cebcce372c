select * from budget
where tenant_id = $1
  and ($2::uuid is null or parent_id = $2)
  and ($3::text = '' or scope = $3)
  and ($4::uuid is null or id > $4)
order by id
limit $5
