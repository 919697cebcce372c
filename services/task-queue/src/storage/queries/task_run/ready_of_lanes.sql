-- Tasks of some lines that have been ready since before $7, up to a place in each.
select r.task_id, r.tenant_id, r.queue, r.capability, r.demand, r.line, r.line_weight,
    r.order_score
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
    as x (tenant_id, queue, capability, demand, line, last_score)
join task_run r
  on r.tenant_id = x.tenant_id and r.queue = x.queue and r.capability = x.capability
  and r.demand = x.demand and r.line = x.line
where r.order_score <= x.last_score
  and r.state = 1 and not r.parked and r.gate = 0 and r.ready_time <= $7 and r.blocked_by = 0
  and (r.admission = 0 or (r.admission = 3 and r.hold_expire_time > $8))
  and case
      when (select exists (select from brake))
      then not exists (select from brakes_on(r.task_id, r.tenant_id, r.queue, r.capability))
      else true
  end
limit $9
