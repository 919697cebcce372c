-- Stops a schedule that cannot be handled, without reading its row.
update schedule set
    paused = true, pause_reason = $2, next_due = null, next_fire = null, version = version + 1,
    update_time = $3
where id = $1 and next_fire is not null
returning tenant_id
