-- What a call changed of a schedule that is locked.
update schedule set
    version = $3, name = $4, cron = $5, time_zone = $6, start_time = $7, end_time = $8,
    jitter_ms = $9, missed = $10, catch_up_ms = $11, catch_up_limit = $12, overlap = $13,
    task = $14, parameters = $15, paused = $16, pause_reason = $17, next_due = $18,
    next_fire = $19, update_time = $20
where id = $1 and tenant_id = $2
