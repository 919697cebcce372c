-- Timers whose time has come, of all tenants: the loop's query. Two replicas may read the same one;
-- whoever deletes it first acts on it.
select execution_id, tenant_id, step_id, kind, attempt
from timer
where fire_time <= $1
order by fire_time
limit $2
