-- ACCEPTED (3) or IN_PROGRESS (5) by fence. A task that is there already is returned unchanged, as
-- is one in progress that is to be accepted; what is not returned is lost.
with x as (
    select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::smallint[])
        as x (task_id, tenant_id, fence, target)
),
held as (
    select r.task_id, r.state as state_before, x.target
    from x
    join task_run r
      on r.task_id = x.task_id and r.tenant_id = x.tenant_id and r.fence = x.fence
    where r.state in (2, 3, 5)
    order by r.task_id
    for update of r
),
moved as (
    update task_run r set
        state = h.target,
        version = r.version + 1,
        start_time = case when h.target = 5 then $5 end,
        close_deadline = case
            when h.target = 5 then $5 + r.close_ms * interval '1 millisecond'
            else r.close_deadline
        end,
        update_time = $5
    from held h
    where r.task_id = h.task_id and h.state_before < h.target
    returning r.task_id
)
select
    r.task_id, r.tenant_id, r.fence, h.state_before, h.target, r.attempt, r.agent_id,
    r.cancel_time is not null as cancel_requested, t.type, t.queue, t.project_id, t.origin_kind,
    t.origin_resource_id, t.labels, t.details, r.hold_id
from held h
join task_run r on r.task_id = h.task_id
join task t on t.id = h.task_id
