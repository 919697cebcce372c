select id from incident where tenant_id = $1 and id = any ($2)
