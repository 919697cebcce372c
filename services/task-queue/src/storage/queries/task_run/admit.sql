-- Writes what the budget said, unless the task has moved on meanwhile.
update task_run
set admission = $4, hold_id = $5, update_time = $6, version = version + 1
where task_id = $1 and tenant_id = $2 and version = $3 and state = 1 and admission in (1, 2)
returning ready_time, order_score, blocked_by
