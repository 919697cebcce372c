-- Every type of a tenant.
select * from task_type where tenant_id = $1
