-- Renews leases by fence; what is not returned is lost.
update task_run r
set lease_until = $5 + least(x.lease_ms, r.heartbeat_ms) * interval '1 millisecond'
from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[])
    as x (task_id, tenant_id, fence, lease_ms)
where r.task_id = x.task_id
  and r.tenant_id = x.tenant_id
  and r.fence = x.fence
  and r.state in (2, 3, 5)
returning r.task_id, r.tenant_id, r.fence, r.lease_until,
    r.cancel_time is not null as cancel_requested, r.cancel_reason
