select (select count(*) from ledger_journal where tenant_id = $1) as journals,
       (select count(*) from ledger_entry where tenant_id = $1) as entries,
       (select count(*) from ledger_account where tenant_id = $1) as accounts
