-- A timer that could not be acted on. One that was set again for later stays as it is.
update timer set fire_time = $5
where tenant_id = $1 and execution_id = $2 and step_id = $3 and kind = $4 and fire_time < $5
