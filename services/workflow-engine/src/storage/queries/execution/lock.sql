-- One execution, locked: every transition begins here, so transitions of one execution queue up.
select id, tenant_id, workflow_id, workflow_version, workflow_name, state, stopping, input, context,
    labels, initiated_by, project_id, budget_id, priority, traceparent, output, error,
    request_digest, last_sequence, last_hash, create_time, start_time, end_time, deadline_time,
    update_time
from execution
where tenant_id = $1 and id = $2
for no key update
