-- One statement for every heartbeat since the last flush. An agent that was deleted meanwhile is left
-- out by the join; in order of id, so that two replicas do not deadlock. Each replica knows some of
-- the heartbeats: of load and of checks the report that was heard last stays, whoever writes last.
-- What an earlier process reported is dropped.
insert into agent_status as s (
    agent_id, tenant_id, epoch, last_heartbeat_time, workload, workload_time, health_checks,
    health_checks_time
)
select u.agent_id, a.tenant_id, u.epoch, u.last_heartbeat_time, u.workload, u.workload_time,
       u.health_checks, u.health_checks_time
from unnest(
    $1::uuid[], $2::bigint[], $3::timestamptz[], $4::jsonb[], $5::timestamptz[], $6::jsonb[],
    $7::timestamptz[]
) as u (
    agent_id, epoch, last_heartbeat_time, workload, workload_time, health_checks,
    health_checks_time
)
join agent a on a.id = u.agent_id
order by u.agent_id
on conflict (agent_id) do update set
    epoch = excluded.epoch,
    last_heartbeat_time = greatest(excluded.last_heartbeat_time, s.last_heartbeat_time),
    workload = case
        when excluded.epoch = s.epoch
            and coalesce(excluded.workload_time <= s.workload_time, excluded.workload_time is null)
        then s.workload else excluded.workload end,
    workload_time = case
        when excluded.epoch = s.epoch
            and coalesce(excluded.workload_time <= s.workload_time, excluded.workload_time is null)
        then s.workload_time else excluded.workload_time end,
    health_checks = case
        when excluded.epoch = s.epoch and coalesce(
            excluded.health_checks_time <= s.health_checks_time,
            excluded.health_checks_time is null)
        then s.health_checks else excluded.health_checks end,
    health_checks_time = case
        when excluded.epoch = s.epoch and coalesce(
            excluded.health_checks_time <= s.health_checks_time,
            excluded.health_checks_time is null)
        then s.health_checks_time else excluded.health_checks_time end
where excluded.epoch >= s.epoch
