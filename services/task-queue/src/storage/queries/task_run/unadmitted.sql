-- Pending tasks whose budget has to be asked: new ones, ones that were last asked in vain before $1,
-- and ones whose hold has expired. Tenants take turns, so that none has to wait for another's.
select r.task_id, r.tenant_id, r.attempt, r.version, r.admission, t.details, t.queue,
    t.capability, t.priority, t.type, t.project_id, t.origin_kind, t.origin_resource_id, t.labels
from (
    select task_id, tenant_id, attempt, version, admission, ask_time, order_score,
        row_number() over (
            partition by tenant_id order by ask_time nulls first, order_score
        ) as turn
    from task_run
    where state = 1 and not parked and gate = 0 and blocked_by = 0 and ready_time <= $2
      and (admission in (1, 2) or (admission = 3 and hold_expire_time <= $2))
      and (ask_time is null or ask_time < $1)
      and case
          when (select exists (select from brake))
          then not exists (select from brakes_on(task_id, tenant_id, queue, capability))
          else true
      end
) r
join task t on t.id = r.task_id and t.tenant_id = r.tenant_id
order by r.turn, r.ask_time nulls first, r.order_score
limit $3
