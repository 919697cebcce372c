-- A page of executions, newest first; ids are UUIDv7. Payloads stay where they are.
select id, tenant_id, workflow_id, workflow_version, workflow_name, state, stopping,
    '{}'::jsonb as input, '{}'::jsonb as context, labels, initiated_by, project_id, budget_id,
    priority, traceparent, null::jsonb as output, error, request_digest, last_sequence, last_hash,
    create_time, start_time, end_time, deadline_time, update_time
from execution
where tenant_id = $1
    and (cardinality($2::text[]) = 0 or state = any ($2))
    and ($3::uuid is null or workflow_id = $3)
    and ($4 = '{}'::jsonb or labels @> $4)
    and ($5::uuid is null or id < $5)
order by id desc
limit $6
