insert into task_artifact (
    task_id, attempt, position, tenant_id, name, uri, media_type, size_bytes, sha256, create_time
)
select task_id, attempt, position, tenant_id, name, uri, media_type, size_bytes, sha256, $10
from unnest(
    $1::uuid[], $2::integer[], $3::integer[], $4::uuid[], $5::text[], $6::text[], $7::text[],
    $8::bigint[], $9::text[]
) as x (task_id, attempt, position, tenant_id, name, uri, media_type, size_bytes, sha256)
