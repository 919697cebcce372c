-- Tasks by id, in one tenant. The bodies are read only when asked for ($3).
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
where t.id = any ($1) and t.tenant_id = $2
order by t.id desc
