-- Completes held tasks by fence and moves their runs to outcomes; the hot path. What does not
-- match is not returned. Usage that came with progress counts unless the completion brings its own.
with x as (
    select * from unnest(
        $1::uuid[], $2::uuid[], $3::bigint[], $4::jsonb[], $5::text[], $6::jsonb[]
    ) as x (task_id, tenant_id, fence, result, message, usage)
),
gone as (
    delete from task_run r using x
    where r.task_id = x.task_id
      and r.tenant_id = x.tenant_id
      and r.fence = x.fence
      and r.state = any ($8)
    returning r.*, x.result, x.message, x.usage as own_usage
),
ended as (
    select g.*, coalesce(g.own_usage, p.usage) as usage
    from gone g
    left join task_progress p on p.task_id = g.task_id and p.fence = g.fence
),
kept as (
    insert into task_outcome (
        task_id, tenant_id, from_state, state, version, attempt, fence, failures, lost_leases,
        agent_id, hold_id, ready_time, assign_time, start_time, end_time, attempt_end, result,
        message, usage, cancel_reason, capability_version
    )
    select
        task_id, tenant_id, state, 6, version + 1, attempt, fence, failures, lost_leases,
        agent_id, hold_id, ready_time, assign_time, coalesce(start_time, assign_time), $7, 1,
        result, message, usage, cancel_reason, capability_version
    from ended
)
select
    e.task_id, e.tenant_id, e.capability, e.demand, e.line, e.line_weight, e.attempt, e.fence,
    e.agent_id, e.hold_id, e.assign_time,
    coalesce(e.start_time, e.assign_time) as start_time, e.usage,
    t.type, t.queue, t.project_id, t.origin_kind, t.origin_resource_id, t.labels, t.details
from ended e
join task t on t.id = e.task_id
