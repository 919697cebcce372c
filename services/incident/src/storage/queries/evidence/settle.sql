-- Settled once: another replica may have been faster.
update evidence set
    task = $3, state = $4, incomplete_reason = $5, collect_time = $6, bytes = bytes + $7
where tenant_id = $1 and id = $2 and state = 'PENDING'
