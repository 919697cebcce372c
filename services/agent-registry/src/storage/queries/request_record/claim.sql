-- Waits for another transaction that claims the same id. One that rolls back leaves it free.
insert into request_record (
    tenant_id, method, request_id, body_digest, resource_id, epoch, create_time
) values ($1, $2, $3, $4, '00000000-0000-0000-0000-000000000000', 0, $5)
on conflict (tenant_id, method, request_id) do nothing
