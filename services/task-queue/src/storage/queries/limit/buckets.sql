-- What is left of the rates of these allowances.
select b.tenant_id, b.allowance, b.tokens, b.fill_time
from unnest($1::uuid[], $2::text[]) as x (tenant_id, allowance)
join limit_bucket b on b.tenant_id = x.tenant_id and b.allowance = x.allowance
