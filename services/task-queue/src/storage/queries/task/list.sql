-- Tasks of a tenant, newest first. A part of the filter that is null or empty holds for all.
-- $1 is the id after which the page begins; $3 whether bodies are read.
select
    t.id, t.tenant_id, t.type, t.title, t.queue, t.capability, t.priority,
    case when $3 then t.parameters end as parameters,
    t.project_id, t.parent_task_id, t.origin_kind, t.origin_resource_id, t.labels, t.details,
    t.create_time,
    coalesce(r.state, o.state) as state,
    coalesce(r.version, o.version + case when d.task_id is null then 0 else 1 end) as version,
    coalesce(r.attempt, o.attempt) as attempt,
    coalesce(r.fence, o.fence) as fence,
    coalesce(r.failures, o.failures) as failures,
    coalesce(r.lost_leases, o.lost_leases) as lost_leases,
    coalesce(r.gate, 0::smallint) as gate,
    coalesce(r.blocked_by, 0) as blocked_by,
    coalesce(r.admission, 0::smallint) as admission,
    coalesce(r.parked, false) as parked,
    coalesce(r.hold_id, o.hold_id) as hold_id,
    coalesce(r.ready_time, o.ready_time) as ready_time,
    coalesce(r.update_time, o.end_time) as update_time,
    coalesce(r.agent_id, o.agent_id) as agent_id,
    coalesce(r.assign_time, o.assign_time) as assign_time,
    coalesce(r.start_time, o.start_time) as start_time,
    r.lease_until,
    r.cancel_time is not null as cancel_requested,
    coalesce(r.cancel_reason, o.cancel_reason) as cancel_reason,
    coalesce(r.rejected_by, '{}') as rejected_by,
    case
        when r.state = 1 and (select exists (select from brake where tenant_id = $2))
        then exists (select from brakes_on(t.id, t.tenant_id, t.queue, t.capability))
        else false
    end as braked,
    o.end_time,
    o.attempt_end,
    coalesce(o.error_code, a.error_code) as error_code,
    coalesce(o.error_message, a.error_message) as error_message,
    coalesce(o.error_details, a.error_details) as error_details,
    case when $3 then o.result end as result,
    o.message,
    o.usage,
    o.capability_version,
    o.retry_rule,
    p.percent,
    p.message as progress_message,
    case when $3 then p.checkpoint end as checkpoint,
    p.report_time,
    d.reason as discard_reason,
    d.actor_kind as discard_kind,
    d.actor_subject as discard_subject,
    d.actor_name as discard_name,
    d.discard_time,
    case when $3 then to_jsonb(h) else to_jsonb(h) || '{"metadata": null}' end as delegation
from task t
left join task_run r on r.task_id = t.id
left join task_outcome o on o.task_id = t.id
left join task_progress p on p.task_id = t.id
left join task_discard d on d.task_id = o.task_id and o.state in (7, 9)
left join lateral (
    -- Why the latest attempt failed, while a retry waits.
    select error_code, error_message, error_details
    from attempt
    where task_id = t.id and error_code is not null and r.failures > 0
    order by attempt desc
    limit 1
) a on true
left join lateral (
    -- The last hands that it was given into.
    select * from task_delegation
    where task_id = t.id and tenant_id = t.tenant_id
    order by position desc
    limit 1
) h on true
where t.tenant_id = $2
  and ($1::uuid is null or t.id < $1)
  and (cardinality($4::smallint[]) = 0 or coalesce(r.state, o.state) = any ($4))
  and (cardinality($5::text[]) = 0 or t.queue = any ($5))
  and (cardinality($6::text[]) = 0 or t.type = any ($6))
  and ($7::uuid is null or t.project_id = $7)
  and ($8::uuid is null or t.parent_task_id = $8)
  and ($9::text is null or t.origin_kind = $9)
  and ($10::text is null or t.origin_resource_id = $10)
  and ($11::uuid is null or coalesce(r.agent_id, o.agent_id) = $11)
  and ($12::jsonb is null or t.labels @> $12)
  and (cardinality($13::uuid[]) = 0 or t.id = any ($13))
  and (not $14 or (o.state in (7, 9) and d.task_id is null))
  and ($15::timestamptz is null or t.create_time >= $15)
  and ($16::timestamptz is null or t.create_time < $16)
order by t.id desc
limit $17
