-- A new link at the end of a chain, whose task is locked. Nothing when another call has used the
-- request id meanwhile.
insert into task_delegation (
    id, tenant_id, task_id, position, attempt, from_fence, from_agent_id, to_agent_id, type,
    reason, metadata, actor_kind, actor_subject, actor_name, request_id, digest, delegate_time,
    offer_until, outcome, by_operator
)
select
    $1, $2, $3, coalesce(max(position), 0) + 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
    $15, $16, $17, 1, $18
from task_delegation
where task_id = $3 and tenant_id = $2
on conflict (tenant_id, request_id) where request_id is not null do nothing
returning *
