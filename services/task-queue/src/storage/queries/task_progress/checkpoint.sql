-- Checkpoints of attempts that are suspended. Whatever else their reports say stays; a report of an
-- attempt before says nothing about this one.
insert into task_progress as p (
    task_id, tenant_id, fence, percent, message, checkpoint, report_time
)
select task_id, tenant_id, fence, 0, '', checkpoint, $5
from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::jsonb[])
    as x (task_id, tenant_id, fence, checkpoint)
order by task_id
on conflict (task_id) do update set
    fence = excluded.fence,
    percent = case when p.fence = excluded.fence then p.percent else 0 end,
    message = case when p.fence = excluded.fence then p.message else '' end,
    usage = case when p.fence = excluded.fence then p.usage end,
    checkpoint = excluded.checkpoint,
    report_time = excluded.report_time
where p.tenant_id = excluded.tenant_id and p.fence <= excluded.fence
