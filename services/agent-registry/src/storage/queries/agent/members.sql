-- What a heartbeat must be compared with, of the agents that a process has not heard of yet.
select a.id, a.tenant_id, a.epoch, a.state, a.version,
       s.last_heartbeat_time,
       case when s.epoch = a.epoch then s.workload end as workload,
       case when s.epoch = a.epoch then s.workload_time end as workload_time,
       case when s.epoch = a.epoch then s.health_checks end as health_checks,
       case when s.epoch = a.epoch then s.health_checks_time end as health_checks_time
from agent a
left join agent_status s on s.agent_id = a.id
where a.id = any ($1)
