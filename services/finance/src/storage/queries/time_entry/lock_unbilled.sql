select * from time_entry
where tenant_id = $1 and project_id = $2 and invoice_id is null
  and ($3::timestamptz is null or end_time >= $3) and end_time < $4
order by id
for no key update
