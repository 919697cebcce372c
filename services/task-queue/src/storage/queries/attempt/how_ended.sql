-- How the attempts that these tokens name ended, whether the task is over or not.
select x.task_id, x.tenant_id, x.fence, o.attempt_end, o.state as state_after, null::timestamptz as ready_after,
    null::uuid as gate_id
from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as x (task_id, tenant_id, fence)
join task_outcome o
  on o.task_id = x.task_id and o.tenant_id = x.tenant_id and o.fence = x.fence
where o.attempt_end is not null
union all
select x.task_id, x.tenant_id, x.fence, a.attempt_end, a.state_after, a.ready_after,
    (
        select g.id from task_gate g
        where g.task_id = a.task_id and g.tenant_id = a.tenant_id and g.fence = a.fence
    ) as gate_id
from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as x (task_id, tenant_id, fence)
join attempt a on a.task_id = x.task_id and a.tenant_id = x.tenant_id and a.fence = x.fence
