-- Writes what the budget said, unless the task has moved on meanwhile.
update task_run
set admission = $4, hold_id = $5, hold_expire_time = $6, ask_time = $7, update_time = $8,
    version = version + 1
where task_id = $1 and tenant_id = $2 and version = $3 and state = 1
  and (admission in (1, 2) or (admission = 3 and hold_expire_time <= $8))
returning task_id, tenant_id, queue, capability, demand, line, line_weight, ready_time, order_score
