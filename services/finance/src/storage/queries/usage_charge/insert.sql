insert into usage_charge select * from jsonb_populate_recordset(null::usage_charge, $1)
