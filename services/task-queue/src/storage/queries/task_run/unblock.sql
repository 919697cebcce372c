-- One dependency of each of these tasks is complete, so often as it is named.
update task_run r
set blocked_by = r.blocked_by - x.times,
    version = r.version + 1,
    ready_time = greatest(r.ready_time, $3),
    order_score = r.order_score
        + (extract(epoch from greatest(r.ready_time, $3) - r.ready_time) * 1000)::bigint,
    start_deadline = r.start_deadline + (greatest(r.ready_time, $3) - r.ready_time),
    update_time = $3
from (
    select task_id, tenant_id, count(*)::integer as times
    from unnest($1::uuid[], $2::uuid[]) as x (task_id, tenant_id)
    group by task_id, tenant_id order by task_id
) as x
where r.task_id = x.task_id and r.tenant_id = x.tenant_id
  and r.state = 1 and r.blocked_by >= x.times
returning r.task_id, r.tenant_id, r.queue, r.capability, r.demand, r.line, r.line_weight,
    r.order_score, r.ready_time,
    r.blocked_by, r.admission
