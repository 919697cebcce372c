-- The first ready tasks that a lifted brake chose and that no other does.
select r.task_id, r.tenant_id, r.queue, r.capability, r.demand, r.line, r.line_weight,
    r.order_score
from task_run r
where r.tenant_id = $1
  and (cardinality($2::text[]) = 0 or r.queue = any ($2))
  and (cardinality($3::text[]) = 0 or r.capability = any ($3))
  and r.state = 1 and not r.parked and r.gate = 0 and r.ready_time <= $6 and r.blocked_by = 0
  and (r.admission = 0 or (r.admission = 3 and r.hold_expire_time > $6))
  and (
      (cardinality($4::text[]) = 0 and $5::jsonb = '{}')
      or exists (
          select from task t
          where t.id = r.task_id and t.tenant_id = r.tenant_id
            and (cardinality($4::text[]) = 0 or t.type = any ($4))
            and t.labels @> $5
      )
  )
  and not exists (select from brakes_on(r.task_id, r.tenant_id, r.queue, r.capability))
order by r.order_score, r.task_id
limit $7
