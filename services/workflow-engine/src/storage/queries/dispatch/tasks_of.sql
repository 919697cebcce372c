-- The newest attempts' tasks.
select dispatch.step_id, dispatch.task_id, dispatch.create_time
from dispatch join step_run using (execution_id, step_id, attempt)
where dispatch.tenant_id = $1 and dispatch.execution_id = $2
