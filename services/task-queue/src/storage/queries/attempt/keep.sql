-- Keeps the last attempt of a dead letter that runs again.
insert into attempt (
    task_id, attempt, tenant_id, fence, agent_id, attempt_end, error_code, error_message,
    error_details, usage, assign_time, start_time, end_time, state_after, capability_version, retry_rule
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
