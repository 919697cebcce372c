select t.* from invoice_time l
join time_entry t on t.id = l.time_entry_id
where l.tenant_id = $1 and l.invoice_id = $2
order by t.start_time, t.id
limit 1000
