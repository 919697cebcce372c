insert into invoice_resource select * from jsonb_populate_recordset(null::invoice_resource, $1)
