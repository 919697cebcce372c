-- What one agent is offered and has not fetched.
select r.task_id, r.tenant_id, r.fence
from task_delegation d
join task_run r on r.task_id = d.task_id and r.tenant_id = d.tenant_id and r.delegation_id = d.id
where d.tenant_id = $1 and d.to_agent_id = $2 and d.outcome = 1 and r.offered
