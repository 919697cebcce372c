-- The version that a request_id came to, whether it made it or found it.
select version.workflow_id, version.version, workflow.latest_version, version.digest,
    version.definition, version.created_by, workflow.create_time as first_time, version.create_time
from workflow_request as request
    join workflow_version as version
        on version.workflow_id = request.workflow_id and version.version = request.version
    join workflow on workflow.id = version.workflow_id
where request.tenant_id = $1 and request.request_id = $2
