insert into tenant_log (tenant_id, position, hash)
select tenant_id, 0, $2 from unnest($1::uuid[]) as wanted (tenant_id) order by tenant_id
on conflict (tenant_id) do nothing
