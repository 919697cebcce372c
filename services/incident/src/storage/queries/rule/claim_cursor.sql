-- Makes the cursor of a tenant that has none; true for whoever made it, who then makes the
-- tenant's built-in rules.
with made as (
    insert into rule_cursor (tenant_id, position) values ($1, 0)
    on conflict (tenant_id) do nothing
    returning 1
)
select exists (select from made)
