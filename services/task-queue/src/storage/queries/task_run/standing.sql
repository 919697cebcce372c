-- What became of leases that a stream believes to hold.
select task_id, tenant_id, fence, lease_until, cancel_time is not null as cancel_requested,
    cancel_reason
from task_run
where task_id = any ($1) and tenant_id = $2 and state in (2, 3, 5)
