-- Gives request ids back whose tasks are not created after all.
delete from task_request r
using unnest($1::uuid[], $2::text[], $3::uuid[]) as x (tenant_id, request_id, task_id)
where r.tenant_id = x.tenant_id and r.request_id = x.request_id and r.task_id = x.task_id
