-- What time has overtaken: 1 lapsed leases, 2 attempts that took too long, 3 waits that took too
-- long, 4 cancellations that nobody obeyed, 5 gates that nobody answered.
select task_id, tenant_id, fence, cause
from (
    select task_id, tenant_id, fence,
        case
            when state = 1 then case
                when gate_deadline < $1 then 5
                when start_deadline < $1 and blocked_by = 0 then 3
            end
            when cancel_time < $2 then 4
            when close_deadline < $1 then 2
            when lease_until < $3 then 1
        end::smallint as cause
    from task_run
) as found
where cause is not null
limit $4
