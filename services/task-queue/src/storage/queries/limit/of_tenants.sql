-- Every limit of some tenants.
select * from task_limit where tenant_id = any ($1) order by tenant_id, name
