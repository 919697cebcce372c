-- Writes a type whose row the transaction holds locked.
update task_type set
    category = $3, description = $4, capability = $5, close_ms = $6, parameters_schema = $7,
    version = $8, update_time = $9, effect = $10
where tenant_id = $1 and id = $2
