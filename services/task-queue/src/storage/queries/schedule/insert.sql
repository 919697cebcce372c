-- A new schedule. The columns are those of update.sql, in the same order, and what never changes.
insert into schedule (
    id, tenant_id, version, name, cron, time_zone, start_time, end_time, jitter_ms, missed,
    catch_up_ms, catch_up_limit, overlap, task, parameters, paused, pause_reason, next_due,
    next_fire, update_time, creator_kind, creator_subject, creator_name, create_time, request_id,
    digest, runs
) values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
    $11, $12, $13, $14, $15, $16, $17, $18,
    $19, $20, $21, $22, $23, $24, $25,
    $26, 0
)
