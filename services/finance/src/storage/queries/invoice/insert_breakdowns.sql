insert into invoice_breakdown select * from jsonb_populate_recordset(null::invoice_breakdown, $1)
