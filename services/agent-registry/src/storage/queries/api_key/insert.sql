insert into api_key (
    id, tenant_id, name, kind, permissions, secret_hash, created_by, create_time, expire_time
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
