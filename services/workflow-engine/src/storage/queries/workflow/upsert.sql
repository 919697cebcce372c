-- The name, for a new version. The row stays locked until the version is written, so versions have
-- no gaps. Returns the workflow's id and the version to write.
insert into workflow as existing (id, tenant_id, name, latest_version, create_time)
values ($1, $2, $3, 1, $4)
on conflict (tenant_id, name) do update set latest_version = existing.latest_version + 1
returning id, latest_version
