select * from payment where tenant_id = $1 and invoice_id = $2 order by id limit 1000
