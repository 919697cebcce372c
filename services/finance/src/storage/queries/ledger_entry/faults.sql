-- Everything that must never be, as (rule, subject, found, expected); an empty answer is sound books.
select 'TRANSACTION_UNBALANCED' as rule, journal_id::text as subject,
       sum(amount)::text as found, '0' as expected
from ledger_entry where tenant_id = $1
group by journal_id, currency having sum(amount) <> 0
union all
select 'CURRENCY_SUM_NOT_ZERO', currency::text, sum(amount)::text, '0'
from ledger_entry where tenant_id = $1
group by currency having sum(amount) <> 0
union all
select 'BALANCE_DIFFERS', a.id::text, a.balance::text, coalesce(sum(e.amount), 0)::text
from ledger_account a
left join ledger_entry e
  on (e.account_id, e.tenant_id, e.currency) = (a.id, a.tenant_id, a.currency)
where a.tenant_id = $1
group by a.id having a.balance <> coalesce(sum(e.amount), 0)
union all
select 'RESERVED_DIFFERS', b.id::text, b.reserved::text, coalesce(sum(h.amount), 0)::text
from budget b left join hold h on h.tenant_id = b.tenant_id and h.state = 'HELD' and b.id = any(h.path)
where b.tenant_id = $1
group by b.id having b.reserved <> coalesce(sum(h.amount), 0)
union all
-- By client, since one may not make up for another, and from both sides: what is booked without an
-- invoice that is owed is as wrong as the other way round. Minor units have as many digits as the
-- currency says, which the application knows: it gives the currencies of the tenant's invoices with
-- their factor.
select 'RECEIVABLE_DIFFERS', coalesce(owed.currency, booked.currency) || ' '
           || coalesce(owed.client_id, booked.client_id),
       coalesce(booked.amount, 0)::text, coalesce(owed.amount, 0)::text
from (
    select i.client_id, i.currency::text as currency,
           sum((i.total_minor - i.paid_minor)::numeric) / max(c.factor) as amount
    from invoice i
    join unnest($2::text[], $3::bigint[]) as c (currency, factor) on c.currency = i.currency
    where i.tenant_id = $1 and i.issue_time is not null and i.cancel_time is null
    group by i.client_id, i.currency
) owed
full join (
    select substr(code, char_length('assets:receivable:') + 1) as client_id,
           currency::text as currency, balance as amount
    from ledger_account
    where tenant_id = $1 and starts_with(code, 'assets:receivable:')
) booked on (booked.client_id, booked.currency) = (owed.client_id, owed.currency)
where coalesce(booked.amount, 0) <> coalesce(owed.amount, 0)
limit 100
