-- The first ready tasks of some lanes straight from the table, for when Redis cannot say.
select task_id, tenant_id, queue, capability, demand, line, line_weight, order_score
from task_run
where tenant_id = $1
  and queue = any ($2)
  and (capability, demand) in (select * from unnest($3::text[], $7::text[]) as x)
  and state = 1
  and not parked
  and gate = 0
  and ready_time <= $4
  and blocked_by = 0
  and (admission = 0 or (admission = 3 and hold_expire_time > $4))
  and not ($5 = any (rejected_by))
  and case
      when (select exists (select from brake where tenant_id = $1))
      then not exists (select from brakes_on(task_id, tenant_id, queue, capability))
      else true
  end
-- Those at which the agent failed come last: others may have to take them.
order by ($5 = any (failed_at)) is true, order_score, task_id
limit $6
