-- Marks dead letters, whose outcomes are locked.
insert into task_discard (
    task_id, tenant_id, reason, actor_kind, actor_subject, actor_name, discard_time
)
select task_id, $2, $3, $4, $5, $6, $7 from unnest($1::uuid[]) as x (task_id)
