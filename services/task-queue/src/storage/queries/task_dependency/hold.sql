-- Which of these tasks are not over. The share lock keeps them from ending before the task that
-- waits for them is stored.
select task_id from task_run where task_id = any ($1) order by task_id for share
