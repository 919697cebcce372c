-- One fired timer, within the transition that acts on it: no row, no act. A timer that was set again
-- meanwhile has another attempt or time.
delete from timer
where tenant_id = $1 and execution_id = $2 and step_id = $3 and kind = $4 and attempt = $5
    and fire_time <= $6
