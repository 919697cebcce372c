-- A checkpoint that comes without a report of progress. What was reported stays.
insert into task_progress as p (task_id, tenant_id, fence, percent, message, checkpoint, report_time)
values ($1, $2, $3, 0, '', $4, $5)
on conflict (task_id) do update
set checkpoint = excluded.checkpoint, report_time = excluded.report_time
where p.tenant_id = excluded.tenant_id
