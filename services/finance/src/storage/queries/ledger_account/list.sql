select * from ledger_account
where tenant_id = $1
  and ($2::text = '' or starts_with(code, $2))
  and ($3::text = '' or currency = $3)
  and ($4::text is null or (code, currency) > ($4, $5))
order by code, currency
limit $6
