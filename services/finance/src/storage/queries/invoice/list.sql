select * from invoice
where tenant_id = $1
  and ($2::uuid is null or project_id = $2)
  and ($3::text = '' or client_id = $3)
  and ($4::text = '' or status = $4)
  and ($5::timestamptz is null or due_time < $5)
  and ($6::uuid is null or id < $6)
order by id desc
limit $7
