-- Schedules that were handled, which are locked.
update schedule s set
    next_due = x.next_due, next_fire = x.next_fire, runs = x.runs,
    handled = greatest(s.handled, x.handled),
    last_task_id = coalesce(x.last_task_id, s.last_task_id)
from unnest(
    $1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bigint[],
    $7::uuid[]
) as x (id, tenant_id, next_due, next_fire, handled, runs, last_task_id)
where s.id = x.id and s.tenant_id = x.tenant_id
