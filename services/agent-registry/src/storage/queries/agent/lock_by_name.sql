-- Changes of one agent take effect one after the other.
select id, tenant_id, name, type, model_id, state, state_reason, capabilities,
       max_concurrent_tasks, labels, metadata, epoch, version, registered_by, create_time,
       update_time, register_time, transition_time
from agent
where tenant_id = $1 and name = $2
for no key update
