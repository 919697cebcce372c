-- The run that a request id had caused.
select
    number, due_time, last_due_time, due_count, fire_time, outcome, task_id, reason, triggered
from schedule_run
where tenant_id = $1 and schedule_id = $2 and request_id = $3
