select * from invoice_tax where tenant_id = $1 and invoice_id = any($2) order by invoice_id, line
