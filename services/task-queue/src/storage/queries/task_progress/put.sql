-- The latest report of each attempt. A checkpoint and usage that are not given stay as they were.
insert into task_progress as p (
    task_id, tenant_id, fence, percent, message, checkpoint, usage, report_time
)
select task_id, tenant_id, fence, percent, message, checkpoint, usage, $8
from unnest(
    $1::uuid[], $2::uuid[], $3::bigint[], $4::double precision[], $5::text[], $6::jsonb[],
    $7::jsonb[]
) as x (task_id, tenant_id, fence, percent, message, checkpoint, usage)
order by task_id
on conflict (task_id) do update set
    fence = excluded.fence,
    percent = excluded.percent,
    message = excluded.message,
    checkpoint = coalesce(excluded.checkpoint, p.checkpoint),
    usage = case
        when p.fence = excluded.fence then coalesce(excluded.usage, p.usage)
        else excluded.usage
    end,
    report_time = excluded.report_time
where p.tenant_id = excluded.tenant_id and p.fence <= excluded.fence
