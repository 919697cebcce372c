-- One version of a workflow by name; version 0 is the newest.
select version.workflow_id, version.version, workflow.latest_version, version.digest,
    version.definition, version.created_by, workflow.create_time as first_time, version.create_time
from workflow join workflow_version as version on version.workflow_id = workflow.id
where workflow.tenant_id = $1 and workflow.name = $2
    and version.version = case when $3 = 0 then workflow.latest_version else $3 end
