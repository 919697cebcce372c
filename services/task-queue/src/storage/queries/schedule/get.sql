-- A schedule with its latest run.
select
    s.*,
    r.number, r.due_time, r.last_due_time, r.due_count, r.fire_time, r.outcome, r.task_id,
    r.reason, r.triggered
from schedule s
left join schedule_run r on r.schedule_id = s.id and r.number = s.runs
where s.tenant_id = $1 and s.id = $2
