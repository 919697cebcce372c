-- Opens gates. The runs of their tasks are locked, and are written in the same transaction.
insert into task_gate (
    id, tenant_id, task_id, queue, type, kind, state, prompt, answer_schema, content_digest,
    expire_time, expiry, attempt, fence, agent_id, opener_kind, opener_subject, opener_name,
    create_time
)
select
    id, tenant_id, task_id, queue, type, kind, 1, prompt, answer_schema, content_digest,
    expire_time, expiry, attempt, fence, agent_id, opener_kind, opener_subject, opener_name, $18
from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::smallint[], $7::text[],
    $8::jsonb[], $9::text[], $10::timestamptz[], $11::smallint[], $12::integer[], $13::bigint[],
    $14::uuid[], $15::smallint[], $16::text[], $17::text[]
) as x (
    id, tenant_id, task_id, queue, type, kind, prompt, answer_schema, content_digest, expire_time,
    expiry, attempt, fence, agent_id, opener_kind, opener_subject, opener_name
)
