-- Which of these tasks are parts of one.
select id from task where id = any ($1) and tenant_id = $2 and parent_task_id = $3
