insert into history
    (execution_id, tenant_id, sequence, type, step_id, attempt, actor_kind, actor_subject,
     actor_name, data, occur_time, previous_hash, hash)
select $2, $1, sequence, type, step_id, attempt, actor_kind, actor_subject, actor_name, data,
    occur_time, decode(previous_hash, 'hex'), decode(hash, 'hex')
from jsonb_to_recordset($3) as entry (
    sequence bigint, type text, step_id text, attempt integer, actor_kind text, actor_subject text,
    actor_name text, data jsonb, occur_time timestamptz, previous_hash text, hash text
)
