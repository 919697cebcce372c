select * from payment where tenant_id = $1 and id = $2 for no key update
