-- Sends held tasks back to PENDING and keeps the attempts that ended.
with x as (
    select * from unnest(
        $1::uuid[], $2::uuid[], $3::bigint[], $4::smallint[], $5::integer[], $6::integer[],
        $7::smallint[], $8::timestamptz[], $9::bigint[], $10::timestamptz[], $11::uuid[],
        $12::text[], $13::text[], $14::jsonb[], $15::jsonb[], $17::smallint[], $18::timestamptz[],
        $19::uuid[], $20::smallint[], $21::text[]
    ) as x (
        task_id, tenant_id, fence, attempt_end, failures, lost_leases,
        admission, ready_time, order_score, start_deadline, rejected_by,
        error_code, error_message, error_details, usage, gate, gate_deadline,
        failed_at, retry_rule, rule_failures
    )
),
kept as (
    insert into attempt (
        task_id, attempt, tenant_id, fence, agent_id, attempt_end, error_code, error_message,
        error_details, usage, assign_time, start_time, end_time, state_after, ready_after,
        capability_version, retry_rule
    )
    select
        r.task_id, r.attempt, r.tenant_id, r.fence, r.agent_id, x.attempt_end, x.error_code,
        x.error_message, x.error_details, x.usage, r.assign_time, r.start_time, $16, 1,
        x.ready_time, r.capability_version, x.retry_rule
    from x
    join task_run r on r.task_id = x.task_id and r.tenant_id = x.tenant_id and r.fence = x.fence
    -- An offer that lapsed was no delivery.
    where x.attempt_end is not null
)
update task_run r set
    state = 1,
    version = r.version + 1,
    failures = x.failures,
    rule_failures = x.rule_failures::integer[],
    lost_leases = x.lost_leases,
    admission = x.admission,
    hold_id = case when x.admission = 3 then r.hold_id end,
    hold_expire_time = case when x.admission = 3 then r.hold_expire_time end,
    ask_time = null,
    ready_time = x.ready_time,
    order_score = x.order_score,
    start_deadline = x.start_deadline,
    rejected_by = case
        when x.rejected_by is null then r.rejected_by
        else array_append(r.rejected_by, x.rejected_by)
    end,
    gate = x.gate,
    gates = r.gates + case when x.gate = 0 then 0 else 1 end,
    gate_deadline = x.gate_deadline,
    failed_at = case
        when x.failed_at is null or x.failed_at = any (r.failed_at) then r.failed_at
        else array_append(r.failed_at, x.failed_at)
    end,
    lease_until = null,
    delegation_id = null,
    offered = false,
    close_deadline = null,
    update_time = $16
from x
where r.task_id = x.task_id and r.tenant_id = x.tenant_id and r.fence = x.fence
  and r.state in (2, 3, 5)
