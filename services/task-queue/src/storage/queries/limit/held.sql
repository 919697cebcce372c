-- The same of a tenant's tasks that are with agents.
select r.task_id, r.tenant_id, r.capability, r.order_score, t.type, t.queue, t.project_id,
    t.origin_kind, t.origin_resource_id, t.labels, t.details
from task_run r
join task t on t.id = r.task_id
where r.tenant_id = $1 and r.state in (2, 3, 5)
