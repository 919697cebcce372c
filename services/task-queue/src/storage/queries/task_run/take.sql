-- Makes offers leases of the agent that they were made to. One that has lapsed, was cancelled, is
-- held by a brake or has lost its hold is not returned: it lapses. Of two pulls of one agent the
-- second finds the offer taken.
with open as (
    select r.task_id
    from task_delegation d
    join task_run r on r.task_id = d.task_id and r.tenant_id = $1 and r.delegation_id = d.id
    where d.tenant_id = $1
      and d.to_agent_id = $2
      and d.outcome = 1
      and r.offered
      and r.agent_id = $2
      and r.lease_until > $3
      and (r.admission = 0 or (r.admission = 3 and r.hold_expire_time > $3))
      and not exists (select from brakes_on(r.task_id, r.tenant_id, r.queue, r.capability))
    order by d.id
    limit $6
    for update of r
),
taken as (
    update task_run r set
        state = case when $5 then 5 else 2 end,
        version = r.version + 1,
        attempt = r.attempt + 1,
        capability_version = (
            select x.version from unnest($8::text[], $9::text[]) as x (capability, version)
            where x.capability = r.capability
        ),
        fence = r.fence + $7,
        offered = false,
        assign_time = $3,
        start_time = case when $5 then $3 end,
        lease_until = $3 + least($4, r.heartbeat_ms) * interval '1 millisecond',
        close_deadline = $3 + r.close_ms * interval '1 millisecond',
        update_time = $3
    from open
    where r.task_id = open.task_id and r.tenant_id = $1
    returning r.*
),
closed as (
    update task_delegation d
    set outcome = 2, outcome_time = $3
    from taken
    where d.id = taken.delegation_id and d.tenant_id = $1
    returning d.*
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
    p.checkpoint,
    to_jsonb(closed) as delegation
from taken g
join closed on closed.id = g.delegation_id
join task t on t.id = g.task_id
left join task_progress p on p.task_id = g.task_id
order by closed.id
