select e.journal_id, e.line, e.account_id, a.code, a.kind as account_kind, e.currency, e.amount,
       j.kind, j.source_id, j.reverses_id, j.effect_time, j.create_time
from ledger_entry e
join ledger_journal j on j.id = e.journal_id
join ledger_account a on a.id = e.account_id
where e.tenant_id = $1
  and ($2::uuid is null or e.account_id = $2)
  and ($3::uuid is null or e.journal_id = $3)
  and ($4::text = '' or j.kind = $4)
  and ($5::uuid is null or j.source_id = $5)
  and ($6::timestamptz is null or j.create_time >= $6)
  and ($7::timestamptz is null or j.create_time < $7)
  and ($8::uuid is null or e.journal_id < $8 or (e.journal_id = $8 and e.line > $9))
order by e.journal_id desc, e.line
limit $10
