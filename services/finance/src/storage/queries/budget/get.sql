select * from budget where tenant_id = $1 and id = $2
