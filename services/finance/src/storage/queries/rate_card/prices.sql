select * from rate_card_price where tenant_id = $1 and rate_card_id = any($2)
order by rate_card_id, provider, model, meter
