-- Every demand of a tenant.
select id, capability, terms from demand where tenant_id = $1 order by id
