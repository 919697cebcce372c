insert into evidence (
    id, tenant_id, incident_id, event_id, position, task_id, attempts, state, incomplete_reason,
    create_time, collect_time, bytes
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict (incident_id, event_id) do nothing
