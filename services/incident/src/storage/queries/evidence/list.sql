select event.*, evidence.id as evidence_id, evidence.attempts, evidence.task, evidence.state,
    evidence.incomplete_reason, evidence.create_time, evidence.collect_time
from evidence
join event on event.tenant_id = evidence.tenant_id and event.position = evidence.position
where evidence.tenant_id = $1 and evidence.incident_id = $2
order by evidence.id
