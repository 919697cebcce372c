insert into rate_card_price select * from jsonb_populate_recordset(null::rate_card_price, $1)
