-- Adds to the balances, opening accounts on their first posting, in the order of the key: two
-- transactions that share accounts cannot deadlock.
insert into ledger_account as a
select * from jsonb_populate_recordset(null::ledger_account, $1)
order by tenant_id, code, currency
on conflict on constraint ledger_account_code_unique
do update set balance = a.balance + excluded.balance
returning id, tenant_id, code, currency, kind, balance, create_time
