-- Payments whose outcome is open: their amount is spoken for.
select coalesce(sum(amount_minor), 0)::bigint from payment
where tenant_id = $1 and invoice_id = $2 and status in ('PENDING', 'PROCESSING')
