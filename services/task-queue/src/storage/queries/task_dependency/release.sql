-- These do not wait for each other any more.
delete from task_dependency d
using unnest($1::uuid[], $2::uuid[], $3::uuid[]) as x (depends_on, task_id, tenant_id)
where d.depends_on = x.depends_on and d.task_id = x.task_id and d.tenant_id = x.tenant_id
