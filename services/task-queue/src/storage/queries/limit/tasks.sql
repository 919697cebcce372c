-- What limits look at in tasks that wait.
select r.task_id, r.tenant_id, r.capability, r.order_score, t.type, t.queue, t.project_id,
    t.origin_kind, t.origin_resource_id, t.labels, t.details
from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
join task_run r on r.task_id = x.task_id and r.tenant_id = x.tenant_id
join task t on t.id = r.task_id
where r.state = 1 and not r.parked
order by r.order_score, r.task_id
