-- Adds demands of a tenant as long as there is room; answers those that were added.
insert into demand (tenant_id, id, capability, terms, use_time)
select $1, x.id, x.capability, x.terms, $5
from unnest($2::text[], $3::text[], $4::jsonb[]) as x (id, capability, terms)
order by x.id
limit greatest($6 - (select count(*) from demand where tenant_id = $1), 0)
on conflict do nothing
returning id
