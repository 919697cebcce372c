-- Of tasks that went back to the ready queues: those that no agent has yet.
select task_id from task_run where task_id = any ($1) and state = 1 and not parked
