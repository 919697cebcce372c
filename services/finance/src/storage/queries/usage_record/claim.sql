-- Marks unbilled work as billed by an invoice. A concurrent claim waits, looks again and finds it
-- taken, so no work is on two invoices.
update usage_record set invoice_id = $2
where tenant_id = $1 and project_id = $3 and status = 'PRICED' and currency = $4
  and invoice_id is null
  and ($5::timestamptz is null or use_time >= $5) and use_time < $6
