-- Of any tenant: what fell due and is not marked so.
select * from invoice
where status in ('SENT', 'VIEWED', 'PARTIALLY_PAID') and due_time <= $1
order by due_time limit $2 for no key update skip locked
