-- The first with this id wins; a concurrent repeat waits here until it is known who that is.
insert into request_record (tenant_id, method, request_id, body_sha256, resource_id, create_time)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
