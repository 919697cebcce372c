-- The delegation that an operator's request made.
select * from task_delegation where tenant_id = $1 and request_id = $2
