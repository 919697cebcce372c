insert into invoice select * from jsonb_populate_recordset(null::invoice, $1)
