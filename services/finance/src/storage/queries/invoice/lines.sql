select * from invoice_line where tenant_id = $1 and invoice_id = any($2) order by invoice_id, line
