-- What will wake an execution: the parts of the view execution_without_wake_source, with their times.
select 'TIMER:' || kind as source, step_id, attempt, fire_time as at
from timer where tenant_id = $1 and execution_id = $2
union all
select 'COMMAND:' || kind, step_id, attempt, next_time
from command where tenant_id = $1 and execution_id = $2
union all
select 'DISPATCH', step_id, attempt, dispatch.create_time
from dispatch join step_run using (execution_id, step_id, attempt)
where dispatch.tenant_id = $1 and dispatch.execution_id = $2
    and step_run.state in ('DISPATCHED', 'RUNNING', 'CANCELLING')
