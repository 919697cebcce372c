-- What a transition may change; the rest is immutable. The row is locked by the transition.
update execution
set state = $3, stopping = $4, output = $5, error = $6, last_sequence = $7, last_hash = $8,
    start_time = $9, end_time = $10, deadline_time = $11, update_time = $12
where tenant_id = $1 and id = $2
