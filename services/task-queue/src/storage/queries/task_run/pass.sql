-- Lets locked tasks out of their gates: they are offered again, at their old place.
update task_run
set gate = 0, gate_deadline = null, version = version + 1, ready_time = $3, start_deadline = $4,
    ask_time = null, update_time = $3
where task_id = $1 and tenant_id = $2 and gate <> 0
