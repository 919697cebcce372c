insert into payment select * from jsonb_populate_recordset(null::payment, $1)
