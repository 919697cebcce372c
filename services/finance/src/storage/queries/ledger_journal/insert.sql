insert into ledger_journal select * from jsonb_populate_recordset(null::ledger_journal, $1)
