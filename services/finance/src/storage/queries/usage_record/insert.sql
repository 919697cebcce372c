-- A repeated line has no second effect; only new ones are returned.
insert into usage_record select * from jsonb_populate_recordset(null::usage_record, $1)
on conflict on constraint usage_record_once do nothing
returning id
