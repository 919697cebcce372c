-- Attempts of a task that ended before its last.
select attempt, agent_id, attempt_end, error_code, error_message, error_details, usage,
    assign_time, start_time, end_time, retry_rule, ready_after, capability_version
from attempt
where task_id = $1 and tenant_id = $2
order by attempt
