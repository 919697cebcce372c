-- The delegation that a holder made with a lease.
select * from task_delegation
where task_id = $1 and tenant_id = $2 and from_fence = $3 and not by_operator
