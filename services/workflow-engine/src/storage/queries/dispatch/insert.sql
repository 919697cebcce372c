-- Which task an attempt became, as news of it tells; the first word counts until the relay, which
-- created the task, has its own. Returns what is recorded.
insert into dispatch (execution_id, step_id, attempt, tenant_id, task_id)
values ($2, $3, $4, $1, $5)
on conflict (execution_id, step_id, attempt) do update set task_id = dispatch.task_id
returning task_id
