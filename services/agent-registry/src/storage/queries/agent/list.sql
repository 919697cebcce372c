-- By id, which is by first registration. A filter that is null selects by nothing.
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
where a.tenant_id = $1
  and ($2::uuid is null or a.id > $2)
  and ($3::text[] is null or a.state = any ($3))
  and ($4::text[] is null or a.type = any ($4))
  and ($5::text[] is null or a.name = any ($5))
  and ($6::jsonb is null or a.capabilities @> $6)
  and ($7::jsonb is null or a.labels @> $7)
  and ($8::uuid[] is null or a.id = any ($8))
order by a.id
limit $9
