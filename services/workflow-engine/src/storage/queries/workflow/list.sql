-- The newest version of each workflow, by name, without what may be large.
select version.workflow_id, version.version, workflow.latest_version, version.digest,
    version.definition
        || '{"steps": [], "agents": {}, "config": {}, "input_schema": null, "output": {}}'::jsonb
        as definition,
    version.created_by, workflow.create_time as first_time, version.create_time
from workflow
    join workflow_version as version
        on version.workflow_id = workflow.id and version.version = workflow.latest_version
where workflow.tenant_id = $1
    and starts_with(workflow.name, $2)
    and ($3 = '' or version.definition -> 'tags' ? $3)
    and ($4 = '' or workflow.name > $4)
order by workflow.name
limit $5
