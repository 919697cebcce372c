-- Which task an attempt became.
select task_id from dispatch
where tenant_id = $1 and execution_id = $2 and step_id = $3 and attempt = $4
