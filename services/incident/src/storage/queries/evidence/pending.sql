select evidence.id, evidence.tenant_id, evidence.incident_id, evidence.task_id,
    evidence.create_time, event.traceparent
from evidence
join event on event.tenant_id = evidence.tenant_id and event.position = evidence.position
where evidence.state = 'PENDING'
order by evidence.create_time
limit $1
