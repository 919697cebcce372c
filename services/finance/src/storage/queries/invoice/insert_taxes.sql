insert into invoice_tax select * from jsonb_populate_recordset(null::invoice_tax, $1)
