-- The first ready tasks of one lane.
select task_id, order_score
from task_run
where tenant_id = $1 and queue = $2 and capability = $3
  and state = 1 and ready_time <= $4 and blocked_by = 0 and admission in (0, 3)
order by order_score, task_id
limit $5
