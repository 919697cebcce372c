-- The version that a request_id published.
select version.workflow_id, version.version, workflow.latest_version, version.digest,
    version.definition, version.created_by, workflow.create_time as first_time, version.create_time
from workflow_version as version join workflow on workflow.id = version.workflow_id
where version.tenant_id = $1 and version.request_id = $2
