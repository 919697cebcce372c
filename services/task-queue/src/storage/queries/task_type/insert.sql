insert into task_type (
    id, tenant_id, name, category, description, capability, close_ms, parameters_schema, version,
    create_time, update_time, request_id, request_digest, effect
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
