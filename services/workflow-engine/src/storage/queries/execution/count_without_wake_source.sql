-- How many executions nothing will ever wake, of all tenants: must be 0.
select count(*) from execution_without_wake_source
