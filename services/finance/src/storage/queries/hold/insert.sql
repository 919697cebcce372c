insert into hold select * from jsonb_populate_recordset(null::hold, $1)
