-- A schedule for a change.
select s.* from schedule s
where s.tenant_id = $1 and s.id = $2
for update
