-- What some agents hold.
select task_id, tenant_id, fence
from task_run
where state in (2, 3, 5) and tenant_id = $1 and agent_id = $2
