-- Offers a locked run to another agent: the delivery is kept as ended, and the fence that its holder
-- knows is void.
with kept as (
    insert into attempt (
        task_id, attempt, tenant_id, fence, agent_id, attempt_end, usage, assign_time, start_time,
        end_time, state_after, capability_version
    )
    select task_id, attempt, tenant_id, fence, agent_id, 9, $8, assign_time, start_time, $6, 2,
        capability_version
    from task_run
    where task_id = $1 and tenant_id = $2 and fence = $3
)
update task_run set
    state = 2,
    version = version + 1,
    fence = fence + $4,
    agent_id = $5,
    assign_time = $6,
    start_time = null,
    lease_until = $7,
    close_deadline = null,
    capability_version = null,
    delegation_id = $9,
    offered = true,
    delegations = delegations + 1,
    update_time = $6
where task_id = $1 and tenant_id = $2 and fence = $3
