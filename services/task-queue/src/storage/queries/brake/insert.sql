-- Sets a brake; nothing happens when its name is taken.
insert into brake (
    tenant_id, name, id, queues, types, capabilities, labels, reason, creator_kind,
    creator_subject, creator_name, create_time
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict do nothing
