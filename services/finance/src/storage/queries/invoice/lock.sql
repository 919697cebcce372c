select * from invoice where tenant_id = $1 and id = $2 for no key update
