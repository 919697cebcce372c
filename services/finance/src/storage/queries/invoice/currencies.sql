select distinct currency::text from invoice where tenant_id = $1
