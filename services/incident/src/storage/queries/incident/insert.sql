insert into incident (
    id, tenant_id, version, project_id, title, description, severity, priority, status,
    category, source, assignee, labels, resolution, rule_id, incident_key, signal_count,
    last_signal_time, related, close_reason, duplicate_of, round, response_target_seconds,
    round_start_time, due_time, breach_record_time, detect_time, acknowledge_time,
    acknowledged_by, mitigate_time, resolve_time, close_time, reopen_time, create_time,
    update_time, created_by, timeline_count, timeline_hash
) values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38
)
