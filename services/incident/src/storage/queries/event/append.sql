insert into event (
    tenant_id, position, event_id, source, sequence, type, resource_type, resource_id, occur_time,
    actor_kind, actor_subject, actor_name, request_id, traceparent, data, record_time,
    previous_hash, hash
)
select * from unnest(
    $1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[],
    $8::text[], $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
    $15::jsonb[], $16::timestamptz[], $17::bytea[], $18::bytea[]
)
