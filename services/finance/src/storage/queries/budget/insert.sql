insert into budget select * from jsonb_populate_recordset(null::budget, $1)
