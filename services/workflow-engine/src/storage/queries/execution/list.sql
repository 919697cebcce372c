-- A page of executions, newest first; ids are UUIDv7. Payloads stay where they are. Whether one waits
-- for people is what the domain says of a run with its steps.
select execution.id, execution.tenant_id, execution.workflow_id, workflow_version, workflow_name,
    state, stopping, '{}'::jsonb as input, '{}'::jsonb as context, labels, initiated_by, project_id,
    budget_id, priority, traceparent, null::jsonb as output, error, request_digest, last_sequence,
    last_hash, execution.create_time, start_time, end_time, deadline_time, update_time,
    version.digest as workflow_digest,
    exists (
        select from step_run
        where step_run.execution_id = execution.id and step_run.state = 'WAITING_APPROVAL'
    ) and not exists (
        select from step_run
        where step_run.execution_id = execution.id
            and step_run.state in ('DISPATCHED', 'RUNNING', 'CANCELLING', 'WAITING_RETRY')
    ) as awaits_people
from execution
    join workflow_version as version
        on version.workflow_id = execution.workflow_id
        and version.version = execution.workflow_version
where execution.tenant_id = $1
    and (cardinality($2::text[]) = 0 or state = any ($2))
    and ($3::uuid is null or execution.workflow_id = $3)
    and ($4 = '{}'::jsonb or labels @> $4)
    and ($5::uuid is null or execution.id < $5)
order by execution.id desc
limit $6
