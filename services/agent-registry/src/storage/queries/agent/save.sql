-- The row is locked; the version in the condition is a second net.
update agent set
    type = $3, model_id = $4, state = $5, state_reason = $6, capabilities = $7,
    max_concurrent_tasks = $8, labels = $9, metadata = $10, epoch = $11, version = $12,
    registered_by = $13, update_time = $14, register_time = $15, transition_time = $16
where tenant_id = $1 and id = $2 and version < $12
