-- What became of some delegations.
update task_delegation d
set outcome = x.outcome, outcome_time = $4
from unnest($1::uuid[], $2::uuid[], $3::smallint[]) as x (id, tenant_id, outcome)
where d.id = x.id and d.tenant_id = x.tenant_id
