-- One approval with its artifact.
select approval.id, approval.execution_id, execution.workflow_name, execution.initiated_by,
    approval.step_id, approval.state, approval.title, approval.description,
    approval.subject, approval.subject_digest, approval.producers, approval.forbid_initiator, approval.allow_agents,
    approval.decided_by, approval.decided_by_name, approval.comment, approval.create_time,
    approval.decide_time, approval.expire_time
from approval join execution on execution.id = approval.execution_id
where approval.tenant_id = $1 and approval.id = $2
