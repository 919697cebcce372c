-- Locks runs for a decision, in the order of their ids, so that two flushes cannot deadlock.
select
    r.task_id, r.tenant_id, r.state, r.version, r.attempt, r.fence, r.failures, r.lost_leases,
    r.blocked_by, r.admission, r.hold_id, r.order_score, r.agent_id, r.assign_time,
    r.start_time, r.lease_until, r.start_deadline, r.close_deadline,
    r.cancel_time is not null as cancel_requested, r.cancel_time, r.cancel_reason, r.rejected_by,
    coalesce(r.failed_at, '{}') as failed_at,
    coalesce(r.rule_failures, '{}') as rule_failures,
    r.demand, r.line, r.line_weight, r.gate, r.gates, r.delegation_id, r.offered, r.delegations,
    t.type, t.queue, t.capability, t.priority, t.project_id, t.origin_kind, t.origin_resource_id,
    t.labels, t.details
from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
join task_run r on r.task_id = x.task_id and r.tenant_id = x.tenant_id
join task t on t.id = r.task_id
order by r.task_id
for update of r
