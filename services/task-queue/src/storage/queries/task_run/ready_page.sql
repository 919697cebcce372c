-- Ready tasks in the order of their ids, for a rebuild of the ready queues.
select task_id, tenant_id, queue, capability, order_score
from task_run
where task_id > $1
  and state = 1 and ready_time <= $2 and blocked_by = 0 and (admission = 0 or (admission = 3 and hold_expire_time > $2))
order by task_id
limit $3
