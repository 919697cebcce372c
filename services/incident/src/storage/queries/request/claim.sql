-- Waits for another transaction with the same id, then either adds the row or finds theirs.
insert into request (tenant_id, method, request_id, digest, resource_id, create_time)
values ($1, $2, $3, $4, $5, $6)
on conflict (tenant_id, method, request_id) do nothing
