insert into invoice_line select * from jsonb_populate_recordset(null::invoice_line, $1)
