-- Places of tasks that are not held any more.
delete from limit_slot s
where not exists (select from task_run r where r.task_id = s.task_id and r.state in (2, 3, 5))
