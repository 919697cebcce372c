insert into invoice_time select * from jsonb_populate_recordset(null::invoice_time, $1)
