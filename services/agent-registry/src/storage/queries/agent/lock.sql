-- Changes of one agent take effect one after the other. No change touches its key, so the first
-- report of an agent, which refers to it, need not wait.
select id, tenant_id, name, type, model_id, state, state_reason, capabilities,
       max_concurrent_tasks, labels, metadata, epoch, version, registered_by, create_time,
       update_time, register_time, transition_time
from agent
where tenant_id = $1 and id = $2
for no key update
