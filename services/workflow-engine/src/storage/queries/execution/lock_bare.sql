-- One execution, locked, without what users put into it: for ending one whose payloads cannot be read.
select id, tenant_id, workflow_id, workflow_version, workflow_name, state, null::jsonb as stopping,
    '{}'::jsonb as input, '{}'::jsonb as context, labels, initiated_by, project_id, budget_id,
    priority, traceparent, null::jsonb as output, null::jsonb as error, request_digest,
    last_sequence, last_hash, create_time, start_time, end_time, deadline_time, update_time
from execution
where tenant_id = $1 and id = $2
for no key update
