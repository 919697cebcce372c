select * from invoice_breakdown where tenant_id = $1 and invoice_id = $2 order by line
