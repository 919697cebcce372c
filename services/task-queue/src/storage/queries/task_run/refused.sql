-- Of the tasks that were popped and not granted: those that still wait for an agent. It is not this
-- one's turn (it has rejected the task, or failed there), or not yet their time by this replica's
-- clock, or a brake holds them.
select r.task_id, r.tenant_id, r.queue, r.capability, r.demand, r.line, r.line_weight,
    r.order_score, r.ready_time, r.rejected_by,
    coalesce(r.failed_at, '{}') as failed_at,
    exists (
        select from brakes_on(r.task_id, r.tenant_id, r.queue, r.capability)
    ) as braked,
    r.keyed or exists (select from task_limit where tenant_id = r.tenant_id) as limited
from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
join task_run r on r.task_id = x.task_id and r.tenant_id = x.tenant_id
where r.state = 1 and not r.parked and r.gate = 0 and r.blocked_by = 0
  and (r.admission = 0 or (r.admission = 3 and r.hold_expire_time > $3))
