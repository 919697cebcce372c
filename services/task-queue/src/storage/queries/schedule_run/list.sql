-- Runs of a schedule, newest first, before a number.
select
    number, due_time, last_due_time, due_count, fire_time, outcome, task_id, reason, triggered
from schedule_run
where tenant_id = $1 and schedule_id = $2 and ($3::bigint is null or number < $3)
order by number desc
limit $4
