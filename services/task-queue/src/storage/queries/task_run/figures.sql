-- What waits and runs in every queue. Of everything that is not over, so it is not to be asked often.
select
    tenant_id, queue, capability,
    count(*) filter (where why = 'ready') as ready,
    count(*) filter (where why = 'scheduled') as scheduled,
    count(*) filter (where why = 'blocked') as blocked,
    count(*) filter (where why = 'paused') as paused,
    count(*) filter (where why = 'throttled') as throttled,
    count(*) filter (where why = 'over_budget') as over_budget,
    count(*) filter (where why = 'awaiting_budget') as awaiting_budget,
    count(*) filter (where why = 'awaiting_input') as awaiting_input,
    count(*) filter (where why = 'awaiting_approval') as awaiting_approval,
    count(*) filter (where state = 2) as assigned,
    count(*) filter (where state = 3) as accepted,
    count(*) filter (where state = 5) as in_progress,
    min(ready_time) filter (where why = 'ready') as oldest_ready_time
from (
    select r.tenant_id, r.queue, r.capability, r.state, r.ready_time,
        case
            when r.state <> 1 then null
            when r.gate = 1 then 'awaiting_input'
            when r.gate > 1 then 'awaiting_approval'
            when r.blocked_by > 0 then 'blocked'
            when r.ready_time > $1 then 'scheduled'
            when (select exists (select from brake)) and exists (
                select from brakes_on(r.task_id, r.tenant_id, r.queue, r.capability)
            ) then 'paused'
            when r.admission = 2 then 'over_budget'
            when r.admission = 1 or (r.admission = 3 and r.hold_expire_time <= $1)
                then 'awaiting_budget'
            when r.parked then 'throttled'
            else 'ready'
        end as why
    from task_run r
    -- Or the planner would ask each task anew for every count.
    offset 0
) as standing
group by tenant_id, queue, capability
