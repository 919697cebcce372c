-- Writes what is left of rates.
insert into limit_bucket (tenant_id, allowance, tokens, fill_time)
select tenant_id, allowance, tokens, fill_time
from unnest($1::uuid[], $2::text[], $3::double precision[], $4::timestamptz[])
    as x (tenant_id, allowance, tokens, fill_time)
on conflict (tenant_id, allowance) do update
set tokens = excluded.tokens, fill_time = excluded.fill_time
