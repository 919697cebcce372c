-- The second wall between tenants. Every table with a tenant_id has row-level security enabled and
-- forced, with one policy that asks this function. A request's transaction names its tenant
-- (reeve.tenant); internal loops and batched paths say explicitly that they see all of them
-- (reeve.all_tenants). A connection that says neither sees nothing. The function is plain SQL, so
-- that the planner inlines it.
create function tenant_visible(tenant uuid) returns boolean
language sql stable parallel safe
as $$
    select current_setting('reeve.all_tenants', true) = 'on'
        or tenant = nullif(current_setting('reeve.tenant', true), '')::uuid
$$;
