insert into rule (
    id, tenant_id, version, name, description, enabled, event_types, conditions, group_by,
    threshold, window_seconds, correlation, severity, priority, category, title_template,
    reopen_seconds, built_in, create_time, update_time
) values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
)
