select t.* from time_entry t
where t.tenant_id = $1
  and ($2::uuid is null or exists (
      select from invoice_time l
      where l.tenant_id = $1 and l.invoice_id = $2 and l.time_entry_id = t.id))
  and ($3::uuid is null or t.project_id = $3)
  and ($4::timestamptz is null or (t.start_time, t.id) > ($4, $5))
order by t.start_time, t.id
limit $6
