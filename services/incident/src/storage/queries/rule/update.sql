update rule set
    version = $3, name = $4, description = $5, enabled = $6, event_types = $7, conditions = $8,
    group_by = $9, threshold = $10, window_seconds = $11, correlation = $12, severity = $13,
    priority = $14, category = $15, title_template = $16, reopen_seconds = $17, built_in = $18,
    create_time = $19, update_time = $20
where id = $1 and tenant_id = $2 and version = $3 - 1 and delete_time is null
