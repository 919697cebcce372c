insert into task_dependency (depends_on, task_id, tenant_id)
select depends_on, task_id, tenant_id
from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as x (depends_on, task_id, tenant_id)
