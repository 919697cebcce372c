-- A thousand at a time, so that no purge holds many locks.
delete from request_record
where (tenant_id, method, request_id) in (
    select tenant_id, method, request_id from request_record
    where create_time < $1
    order by create_time limit 1000
)
