-- New tasks with their runs, one statement for a whole flush. Answers which of them a brake chooses;
-- their rows are not there yet for a function to look at.
with x as (
    select * from unnest(
        $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[],
        $8::jsonb[], $9::uuid[], $10::uuid[], $11::text[], $12::text[], $13::jsonb[],
        $14::jsonb[], $15::timestamptz[], $16::bigint[], $17::bigint[], $18::integer[],
        $19::smallint[], $20::bigint[], $21::timestamptz[], $22::timestamptz[],
        $23::text[], $24::text[], $25::real[], $26::boolean[], $27::text[]
    ) as x (
        id, tenant_id, type, title, queue, capability, priority,
        parameters, project_id, parent_task_id, origin_kind, origin_resource_id, labels,
        details, create_time, heartbeat_ms, close_ms, blocked_by,
        admission, order_score, ready_time, start_deadline, demand, line, line_weight, keyed,
        avoid
    )
),
spec as (
    insert into task (
        id, tenant_id, type, title, queue, capability, priority, parameters, project_id,
        parent_task_id, origin_kind, origin_resource_id, labels, details, create_time
    )
    select
        id, tenant_id, type, title, queue, capability, priority, parameters, project_id,
        parent_task_id, origin_kind, origin_resource_id, labels, details, create_time
    from x
),
run as (
    insert into task_run (
        task_id, tenant_id, queue, capability, priority, heartbeat_ms, close_ms, state, version,
        attempt, fence, failures, lost_leases, blocked_by, admission, order_score, ready_time,
        update_time, start_deadline, demand, line, line_weight, keyed, rejected_by
    )
    select
        id, tenant_id, queue, capability, priority, heartbeat_ms, close_ms, 1, 1,
        0, 0, 0, 0, blocked_by, admission, order_score, ready_time,
        create_time, start_deadline, demand, line, line_weight, keyed,
        coalesce(avoid::uuid[], '{}')
    from x
)
select x.id
from x
where (select exists (select from brake where tenant_id = any ($2)))
  and exists (
      select from brake b
      where b.tenant_id = x.tenant_id
        and (cardinality(b.queues) = 0 or x.queue = any (b.queues))
        and (cardinality(b.capabilities) = 0 or x.capability = any (b.capabilities))
        and (cardinality(b.types) = 0 or x.type = any (b.types))
        and x.labels @> b.labels
  )
