-- Leases tasks by primary key. A task that was cancelled, taken or rescheduled since it was popped
-- does not match and is not returned. Whoever rejected a task is not given it again, nor, if the task
-- says so, whoever failed there, but as a last resort. Whether there is any brake is asked once; only
-- if there is, each task is looked at. Tasks that a limit may choose are passed over until their place
-- is taken ($8).
with x as (
    select * from unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::boolean[], $6::bigint[], $9::text[],
        $10::boolean[]
    ) as x (task_id, tenant_id, agent_id, lease_ms, start, step, version, last_resort)
),
granted as (
    update task_run r set
        state = case when x.start then 5 else 2 end,
        version = r.version + 1,
        attempt = r.attempt + 1,
        fence = r.fence + x.step,
        agent_id = x.agent_id,
        capability_version = x.version,
        assign_time = $7,
        start_time = case when x.start then $7 end,
        lease_until = $7 + least(x.lease_ms, r.heartbeat_ms) * interval '1 millisecond',
        close_deadline = $7 + r.close_ms * interval '1 millisecond',
        update_time = $7
    from x
    where r.task_id = x.task_id
      and r.tenant_id = x.tenant_id
      and r.state = 1
      and r.gate = 0
      and r.ready_time <= $7
      and r.blocked_by = 0
      and not r.parked
      and (r.admission = 0 or (r.admission = 3 and r.hold_expire_time > $7))
      and not (x.agent_id = any (r.rejected_by))
      and (x.last_resort or (x.agent_id = any (r.failed_at)) is not true)
      and case
          when (select exists (select from brake where tenant_id = any ($2)))
          then not exists (
              select from brakes_on(r.task_id, r.tenant_id, r.queue, r.capability)
          )
          else true
      end
      and (
          $8
          or not (
              r.keyed
              or (select exists (select from task_limit where tenant_id = any ($2)))
          )
      )
    returning r.*
)
select
    t.id, t.tenant_id, t.type, t.title, t.queue, t.capability, t.priority, t.parameters,
    t.project_id, t.parent_task_id, t.origin_kind, t.origin_resource_id, t.labels, t.details,
    t.create_time,
    g.state, g.version, g.attempt, g.fence, g.failures, g.lost_leases, g.gate, g.blocked_by,
    g.admission,
    g.hold_id, g.ready_time, g.update_time, g.agent_id, g.assign_time, g.start_time,
    g.lease_until, g.cancel_time is not null as cancel_requested, g.cancel_reason,
    g.rejected_by,
    g.gates,
    p.checkpoint
from granted g
join task t on t.id = g.task_id
left join task_progress p on p.task_id = g.task_id
order by g.order_score, g.task_id
