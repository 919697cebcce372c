insert into time_entry select * from jsonb_populate_recordset(null::time_entry, $1)
on conflict on constraint time_entry_once do nothing
