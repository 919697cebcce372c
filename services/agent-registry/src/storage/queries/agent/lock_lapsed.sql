-- The agents whose lease has lapsed, if they still are what they were when it was granted: the epoch
-- is the compare of this compare-and-set. One that is being changed right now keeps its lease and is
-- left for the next look. In order of id, so that two replicas that do the same do not deadlock.
select a.id, a.tenant_id, a.name, a.type, a.model_id, a.state, a.state_reason, a.capabilities,
       a.max_concurrent_tasks, a.labels, a.metadata, a.epoch, a.version, a.registered_by,
       a.create_time, a.update_time, a.register_time, a.transition_time
from agent a
join unnest($1::uuid[], $2::bigint[]) as lapsed (id, epoch)
    on a.id = lapsed.id and a.epoch = lapsed.epoch
where a.state in ('STARTING', 'ACTIVE', 'DRAINING', 'STOPPING')
order by a.id
for no key update of a skip locked
