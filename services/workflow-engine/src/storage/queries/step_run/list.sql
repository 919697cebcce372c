-- An execution's steps without their outputs, which may be large, in the definition's order.
select step_run.execution_id, state, attempt, agent_id, produced_by, error, note,
    null::jsonb as output, approval_id, approved_digest, start_time, end_time, retry_time
from step_run
where tenant_id = $1 and execution_id = $2
order by position
