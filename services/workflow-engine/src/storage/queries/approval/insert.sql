insert into approval
    (id, tenant_id, execution_id, step_id, state, title, description, subject, subject_digest,
     producers, forbid_initiator, allow_agents, create_time, expire_time)
values ($1, $2, $3, $4, 'PENDING', $5, $6, $7, $8, $9, $10, $11, $12, $13)
