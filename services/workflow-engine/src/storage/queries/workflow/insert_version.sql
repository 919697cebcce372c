insert into workflow_version
    (workflow_id, version, tenant_id, digest, definition, created_by, request_id, create_time)
values ($1, $2, $3, $4, $5, $6, $7, $8)
