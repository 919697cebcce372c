-- What people answered to tasks that were just leased: of each the last gates, oldest first.
select g.*
from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
cross join lateral (
    select * from task_gate
    where task_id = x.task_id and tenant_id = x.tenant_id and state in (2, 3)
    order by id desc
    limit $3
) as g
order by g.id
