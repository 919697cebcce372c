select count(*) from brake where tenant_id = $1
