-- Load belongs to a process: what an earlier epoch reported is not shown. The last heartbeat is the
-- agent's, whichever process sent it.
select a.id, a.tenant_id, a.name, a.type, a.model_id, a.state, a.state_reason, a.capabilities,
       a.max_concurrent_tasks, a.labels, a.metadata, a.epoch, a.version, a.registered_by,
       a.create_time, a.update_time, a.register_time, a.transition_time,
       s.last_heartbeat_time,
       case when s.epoch = a.epoch then s.workload end as workload,
       case when s.epoch = a.epoch then s.workload_time end as workload_time,
       case when s.epoch = a.epoch then s.health_checks end as health_checks,
       case when s.epoch = a.epoch then s.health_checks_time end as health_checks_time
from agent a
left join agent_status s on s.agent_id = a.id
where a.tenant_id = $1 and a.id = $2
