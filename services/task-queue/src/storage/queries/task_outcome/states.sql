-- How some tasks ended.
select task_id, state from task_outcome where task_id = any ($1)
