-- The type that a request id has created.
select * from task_type where tenant_id = $1 and request_id = $2
