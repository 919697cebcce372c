-- What attempts said that they consumed. Asked after their runs were locked, by a statement of its
-- own: one that waits for a lock does not see what was written meanwhile.
select p.task_id, p.usage
from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as x (task_id, tenant_id, fence)
join task_progress p
  on p.task_id = x.task_id and p.tenant_id = x.tenant_id and p.fence = x.fence
where p.usage is not null
