delete from timer
using jsonb_to_recordset($3) as cleared (step_id text, kind text)
where timer.tenant_id = $1 and timer.execution_id = $2
    and timer.step_id = cleared.step_id and timer.kind = cleared.kind
