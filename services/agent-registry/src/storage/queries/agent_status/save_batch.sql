-- One statement for every heartbeat since the last flush. An agent that was deleted meanwhile is left
-- out by the join; in order of id, so that two replicas do not deadlock. Another replica may know a
-- later heartbeat; the latest one wins, and a report that this one lacks stays.
insert into agent_status as s (
    agent_id, tenant_id, epoch, last_heartbeat_time, workload, health_checks
)
select u.agent_id, a.tenant_id, u.epoch, u.last_heartbeat_time, u.workload, u.health_checks
from unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::jsonb[], $5::jsonb[])
    as u (agent_id, epoch, last_heartbeat_time, workload, health_checks)
join agent a on a.id = u.agent_id
order by u.agent_id
on conflict (agent_id) do update set
    epoch = excluded.epoch,
    last_heartbeat_time = excluded.last_heartbeat_time,
    workload = case when excluded.epoch > s.epoch then excluded.workload
                    else coalesce(excluded.workload, s.workload) end,
    health_checks = case when excluded.epoch = s.epoch and excluded.health_checks = '[]'
                         then s.health_checks else excluded.health_checks end
where (excluded.epoch, excluded.last_heartbeat_time) > (s.epoch, s.last_heartbeat_time)
