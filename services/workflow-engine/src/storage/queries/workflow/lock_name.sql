-- The name, locked until its next version is written, so that versions have no gaps.
insert into workflow as existing (id, tenant_id, name, latest_version, create_time)
values ($1, $2, $3, 0, $4)
on conflict (tenant_id, name) do update set latest_version = existing.latest_version
returning id, latest_version
