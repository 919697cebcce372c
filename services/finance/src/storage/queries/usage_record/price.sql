update usage_record
set status = 'PRICED', rate_card_id = $3, currency = $4, cost = $5, missing_prices = '{}',
    provisional = 0, price_time = $6
where tenant_id = $1 and id = $2 and status = 'UNPRICED'
