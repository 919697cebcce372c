-- How many schedules a tenant has.
select count(*) from schedule where tenant_id = $1
