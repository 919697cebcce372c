-- Of some tasks that wait: those that a brake chooses.
select r.task_id
from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
join task_run r on r.task_id = x.task_id and r.tenant_id = x.tenant_id
where r.state = 1
  and exists (select from brakes_on(r.task_id, r.tenant_id, r.queue, r.capability))
