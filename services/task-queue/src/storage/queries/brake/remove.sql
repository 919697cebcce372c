delete from brake where tenant_id = $1 and name = $2 returning *
