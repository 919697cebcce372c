-- The next version of a name that is locked.
with newest as (
    update workflow set latest_version = $2 where tenant_id = $3 and id = $1
)
insert into workflow_version
    (workflow_id, version, tenant_id, digest, definition, created_by, create_time)
values ($1, $2, $3, $4, $5, $6, $7)
