-- A name that is already there is the same agent restarting, so meeting it is no error. A concurrent
-- first registration of the name waits here until the other one commits.
insert into agent (
    id, tenant_id, name, type, model_id, state, state_reason, capabilities, max_concurrent_tasks,
    labels, metadata, epoch, version, registered_by, create_time, update_time, register_time,
    transition_time
) values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, $15, $15
)
on conflict (tenant_id, name) do nothing
