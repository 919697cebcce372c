-- The first tasks that wait for an allowance go back to the ready queues. What is not parked any more
-- was cancelled or timed out meanwhile.
with gone as (
    delete from limit_wait w
    using (
        select task_id from limit_wait
        where tenant_id = $1 and allowance = $2
        order by order_score, task_id
        limit $3
        for update skip locked
    ) as first
    where w.task_id = first.task_id
    returning w.task_id
)
update task_run r set parked = false
from gone
where r.task_id = gone.task_id and r.parked
returning r.task_id, r.tenant_id, r.queue, r.capability, r.demand, r.line, r.line_weight,
    r.order_score
