-- Sets a limit, or puts it in the place of the one of its name.
insert into task_limit (
    tenant_id, name, id, queues, types, capabilities, labels, per, key_prefix, max_running,
    rate_tasks, rate_period_ms, rate_burst, reason, actor_kind, actor_subject, actor_name,
    create_time, update_time
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
on conflict (tenant_id, name) do update set
    id = excluded.id, queues = excluded.queues, types = excluded.types,
    capabilities = excluded.capabilities, labels = excluded.labels, per = excluded.per,
    key_prefix = excluded.key_prefix, max_running = excluded.max_running,
    rate_tasks = excluded.rate_tasks, rate_period_ms = excluded.rate_period_ms,
    rate_burst = excluded.rate_burst, reason = excluded.reason, actor_kind = excluded.actor_kind,
    actor_subject = excluded.actor_subject, actor_name = excluded.actor_name,
    update_time = excluded.update_time
