update time_entry set invoice_id = null where tenant_id = $1 and invoice_id = $2
