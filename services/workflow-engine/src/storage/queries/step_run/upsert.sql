-- The steps that a transition changed, or all of them at the start. A transition does not read every
-- output, and none is ever taken back.
insert into step_run
    (execution_id, tenant_id, step_id, position, state, attempt, agent_id, produced_by, error, note,
     output, approval_id, approved_digest, start_time, end_time, retry_time)
select $2, $1, step_id, position, state, attempt, agent_id, produced_by, error, note, output,
    approval_id, approved_digest, start_time, end_time, retry_time
from jsonb_to_recordset($3) as step (
    step_id text, position integer, state text, attempt integer, agent_id text, produced_by jsonb,
    error jsonb, note text, output jsonb, approval_id uuid, approved_digest text,
    start_time timestamptz, end_time timestamptz, retry_time timestamptz
)
on conflict (execution_id, step_id) do update
set state = excluded.state, attempt = excluded.attempt, agent_id = excluded.agent_id,
    produced_by = excluded.produced_by, error = excluded.error, note = excluded.note,
    output = coalesce(excluded.output, step_run.output), approval_id = excluded.approval_id,
    approved_digest = excluded.approved_digest, start_time = excluded.start_time,
    end_time = excluded.end_time, retry_time = excluded.retry_time
