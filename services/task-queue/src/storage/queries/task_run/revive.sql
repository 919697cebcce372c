-- A dead letter runs again. Its fence goes on from where it was, so that no old token fits.
insert into task_run (
    task_id, tenant_id, queue, capability, priority, heartbeat_ms, close_ms, state, version,
    attempt, fence, failures, lost_leases, blocked_by, admission, order_score, ready_time,
    update_time, start_deadline, demand, line, line_weight, keyed, rejected_by, gates
)
select id, tenant_id, queue, capability, priority, $3, $4, 1, $5, $6, $7, 0, 0, 0, $8, $9, $10,
    $10, $11, $12, $13, $14, $15, $16,
    (select count(*) from task_gate where task_id = $1 and tenant_id = $2)
from task where id = $1 and tenant_id = $2
