-- Answers the open gate of a task whose run is locked.
update task_gate set
    state = 2, input = $3, decision = $4, comment = $5, answer_digest = $6, request_id = $7,
    answerer_kind = $8, answerer_subject = $9, answerer_name = $10, close_time = $11
where id = $1 and tenant_id = $2 and state = 1
