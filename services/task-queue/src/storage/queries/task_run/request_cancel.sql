-- Asks the holders to let go. Repeating it keeps the first time and reason.
update task_run
set cancel_time = coalesce(cancel_time, $3),
    cancel_reason = coalesce(cancel_reason, $4),
    version = version + case when cancel_time is null then 1 else 0 end
where task_id = any ($1) and tenant_id = $2 and state in (2, 3, 5)
