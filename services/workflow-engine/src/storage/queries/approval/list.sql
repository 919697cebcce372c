-- A page of approvals without their artifacts, newest first; ids are UUIDv7.
select approval.id, approval.execution_id, execution.workflow_name, execution.initiated_by,
    approval.step_id, approval.state, approval.title, approval.description,
    null::jsonb as subject, approval.subject_digest, approval.producers, approval.forbid_initiator, approval.allow_agents,
    approval.decided_by, approval.decided_by_name, approval.comment, approval.create_time,
    approval.decide_time, approval.expire_time
from approval join execution on execution.id = approval.execution_id
where approval.tenant_id = $1
    and (cardinality($2::text[]) = 0 or approval.state = any ($2))
    and ($3::uuid is null or approval.execution_id = $3)
    and ($4::uuid is null or approval.id < $4)
order by approval.id desc
limit $5
