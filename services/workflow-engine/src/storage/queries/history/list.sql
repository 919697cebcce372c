-- Entries after a sequence, oldest first.
select execution_id, sequence, type, step_id, attempt, actor_kind, actor_subject, actor_name, data,
    occur_time, previous_hash, hash
from history
where tenant_id = $1 and execution_id = $2 and sequence > $3
order by sequence
limit $4
