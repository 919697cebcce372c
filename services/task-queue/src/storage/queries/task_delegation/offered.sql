-- Agents that are offered something.
select distinct tenant_id, to_agent_id from task_delegation where outcome = 1
