insert into execution
    (id, tenant_id, workflow_id, workflow_version, workflow_name, state, stopping, input, context,
     labels, initiated_by, project_id, budget_id, priority, traceparent, output, error, request_id,
     request_digest, last_sequence, last_hash, create_time, start_time, end_time, deadline_time,
     update_time)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
        $21, $22, $23, $24, $25, $26)
