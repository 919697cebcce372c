-- Takes places. One that was left behind by an earlier attempt counts again.
insert into limit_slot (tenant_id, allowance, task_id)
select tenant_id, allowance, task_id
from unnest($1::uuid[], $2::text[], $3::uuid[]) as x (tenant_id, allowance, task_id)
on conflict do nothing
