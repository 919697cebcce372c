insert into refused_event (sequence, tenant_id, event, error, create_time)
values ($1, $2, $3, $4, $5)
