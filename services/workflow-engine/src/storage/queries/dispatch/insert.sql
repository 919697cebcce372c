-- Which task an attempt became. The relay and the consumer may both say so.
insert into dispatch (execution_id, step_id, attempt, tenant_id, task_id)
values ($2, $3, $4, $1, $5)
on conflict do nothing
