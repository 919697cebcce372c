-- Ready tasks in the order of their ids, for a rebuild of the ready queues.
select task_id, tenant_id, queue, capability, demand, line, line_weight, order_score
from task_run
where task_id > $1
  and state = 1 and not parked and gate = 0 and ready_time <= $2 and blocked_by = 0
  and (admission = 0 or (admission = 3 and hold_expire_time > $2))
  and case
      when (select exists (select from brake))
      then not exists (select from brakes_on(task_id, tenant_id, queue, capability))
      else true
  end
order by task_id
limit $3
