insert into incident_event (
    incident_id, sequence, tenant_id, type, create_time, actor_kind, actor_subject, actor_name,
    summary, details, previous_hash, hash
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
