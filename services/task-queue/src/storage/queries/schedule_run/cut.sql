-- Runs of schedules up to a number, which are no longer kept.
delete from schedule_run r
using unnest($1::uuid[], $2::uuid[], $3::bigint[]) as x (schedule_id, tenant_id, number)
where r.schedule_id = x.schedule_id and r.tenant_id = x.tenant_id and r.number <= x.number
