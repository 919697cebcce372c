-- Runs, one statement for all.
insert into schedule_run (
    schedule_id, tenant_id, number, due_time, last_due_time, due_count, fire_time, outcome,
    task_id, reason, triggered, request_id
)
select * from unnest(
    $1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::integer[],
    $7::timestamptz[], $8::smallint[], $9::uuid[], $10::text[], $11::boolean[], $12::text[]
)
