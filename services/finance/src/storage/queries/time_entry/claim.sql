update time_entry set invoice_id = $2
where tenant_id = $1 and project_id = $3 and invoice_id is null
  and ($4::timestamptz is null or end_time >= $4) and end_time < $5
returning *
