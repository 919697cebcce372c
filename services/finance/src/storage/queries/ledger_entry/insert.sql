insert into ledger_entry select * from jsonb_populate_recordset(null::ledger_entry, $1)
