-- Of the tasks that were popped and not granted: those that still wait, but not for this agent.
select r.task_id
from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as x (task_id, tenant_id, agent_id)
join task_run r on r.task_id = x.task_id and r.tenant_id = x.tenant_id
where r.state = 1 and x.agent_id = any (r.rejected_by)
