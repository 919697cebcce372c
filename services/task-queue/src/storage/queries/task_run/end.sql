-- Moves runs to outcomes, COMPLETED where a person says so. The rows are locked, so all of them match.
with x as (
    select * from unnest(
        $1::uuid[], $2::uuid[], $3::bigint[], $4::smallint[], $5::smallint[], $6::integer[],
        $7::integer[], $8::text[], $9::text[], $10::jsonb[], $11::jsonb[], $12::text[],
        $14::jsonb[], $15::text[], $16::uuid[], $17::smallint[]
    ) as x (
        task_id, tenant_id, fence, state_after, attempt_end, failures,
        lost_leases, error_code, error_message, error_details, usage, cancel_reason,
        result, message, gate_id, retry_rule
    )
),
gone as (
    delete from task_run r using x
    where r.task_id = x.task_id and r.tenant_id = x.tenant_id and r.fence = x.fence
    returning r.*
)
insert into task_outcome (
    task_id, tenant_id, from_state, state, version, attempt, fence, failures, lost_leases,
    agent_id, hold_id, ready_time, assign_time, start_time, end_time, attempt_end, error_code,
    error_message, error_details, usage, cancel_reason, result, message, gate_id,
    capability_version, retry_rule
)
select
    g.task_id, g.tenant_id, g.state, x.state_after, g.version + 1, g.attempt, g.fence, x.failures,
    x.lost_leases, g.agent_id, g.hold_id, g.ready_time, g.assign_time, g.start_time, $13,
    x.attempt_end, x.error_code, x.error_message, x.error_details, x.usage, x.cancel_reason,
    x.result, x.message, x.gate_id, g.capability_version, x.retry_rule
from gone g
join x on x.task_id = g.task_id
