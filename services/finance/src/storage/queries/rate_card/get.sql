select * from rate_card where tenant_id = $1 and id = $2
