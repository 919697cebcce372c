update usage_record set price_time = $2 where id = any($1) and status = 'UNPRICED'
