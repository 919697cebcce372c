select version, currency from rate_card where tenant_id = $1 and name = $2
order by version desc limit 1
