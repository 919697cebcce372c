insert into timer (execution_id, tenant_id, step_id, kind, attempt, fire_time)
select $2, $1, step_id, kind, attempt, fire_time
from jsonb_to_recordset($3) as timer (
    step_id text, kind text, attempt integer, fire_time timestamptz
)
on conflict (execution_id, step_id, kind) do update
set attempt = excluded.attempt, fire_time = excluded.fire_time
