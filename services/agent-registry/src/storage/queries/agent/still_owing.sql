-- Which of these processes still are their agent's current one and owe heartbeats. Waits for no
-- lock: a row that is being changed is read as it was.
select a.id, a.epoch
from agent a
join unnest($1::uuid[], $2::bigint[]) as process (id, epoch)
    on a.id = process.id and a.epoch = process.epoch
where a.state in ('STARTING', 'ACTIVE', 'DRAINING', 'STOPPING')
