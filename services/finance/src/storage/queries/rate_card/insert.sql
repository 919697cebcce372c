insert into rate_card select * from jsonb_populate_recordset(null::rate_card, $1)
