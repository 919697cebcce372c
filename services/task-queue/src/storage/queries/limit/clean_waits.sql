-- Waits of tasks that are over.
delete from limit_wait w
where not exists (select from task_run r where r.task_id = w.task_id and r.parked)
