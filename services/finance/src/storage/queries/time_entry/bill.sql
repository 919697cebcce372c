update time_entry set invoice_id = $2
where tenant_id = $1 and id = any($3) and invoice_id is null
