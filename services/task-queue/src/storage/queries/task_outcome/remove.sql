-- Takes a dead letter's outcome away, for a redrive.
delete from task_outcome
where task_id = $1 and tenant_id = $2 and state in (7, 9)
returning *
