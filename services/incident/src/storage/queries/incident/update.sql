-- The row is locked already; the version is compared all the same, so that no path can skip the lock.
update incident set
    version = $3, project_id = $4, title = $5, description = $6, severity = $7, priority = $8,
    status = $9, category = $10, source = $11, assignee = $12, labels = $13, resolution = $14,
    rule_id = $15, incident_key = $16, signal_count = $17, last_signal_time = $18, related =
    $19, close_reason = $20, duplicate_of = $21, round = $22, response_target_seconds = $23,
    round_start_time = $24, due_time = $25, breach_record_time = $26, detect_time = $27,
    acknowledge_time = $28, acknowledged_by = $29, mitigate_time = $30, resolve_time = $31,
    close_time = $32, reopen_time = $33, create_time = $34, update_time = $35, created_by = $36,
    timeline_count = $37, timeline_hash = $38
where id = $1 and tenant_id = $2 and version = $3 - 1
