-- How many types a tenant has, and what all of their schemas but that of one take as text.
select
    count(*) as types,
    coalesce(sum(length(parameters_schema::text)) filter (where name <> $2), 0)::bigint as bytes
from task_type where tenant_id = $1
