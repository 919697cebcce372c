-- How many tasks of each lane have been ready since before $1: what Redis should hold at least.
select tenant_id, queue, capability, count(*) as tasks
from task_run
where state = 1 and ready_time <= $1 and blocked_by = 0 and admission in (0, 3)
group by tenant_id, queue, capability
