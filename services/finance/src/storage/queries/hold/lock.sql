select * from hold where tenant_id = $1 and id = $2 for no key update
