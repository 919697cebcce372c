-- Pending tasks whose budget has to be asked: new ones, and refused ones that were last asked
-- before $1.
select r.task_id, r.tenant_id, r.attempt, r.version, r.admission, t.details, t.queue,
    t.capability, t.priority, t.type, t.project_id, t.origin_kind, t.origin_resource_id, t.labels
from task_run r
join task t on t.id = r.task_id
where r.state = 1 and r.blocked_by = 0 and r.ready_time <= $2
  and (r.admission = 1 or (r.admission = 2 and r.update_time < $1))
order by r.order_score, r.task_id
limit $3
