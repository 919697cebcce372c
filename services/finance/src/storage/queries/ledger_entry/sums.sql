select currency, sum(amount) as amount, count(*) as entry_count from ledger_entry
where tenant_id = $1 group by currency order by currency
