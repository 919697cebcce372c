-- A batch at a time, so that no lock is held long.
delete from request_record where ctid in (
    select ctid from request_record where create_time < $1 limit 5000
)
