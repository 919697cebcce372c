-- Schedules of a tenant by name, after a name, without parameters. The order is
-- that of the bytes, whatever language the database speaks.
select
    s.id, s.tenant_id, s.name, s.version, s.cron, s.time_zone, s.start_time, s.end_time,
    s.jitter_ms, s.missed, s.catch_up_ms, s.catch_up_limit, s.overlap, s.task,
    null::bytea as parameters, s.paused, s.pause_reason, s.next_due, s.handled, s.runs,
    s.last_task_id, s.creator_kind, s.creator_subject, s.creator_name, s.create_time,
    s.update_time,
    r.number, r.due_time, r.last_due_time, r.due_count, r.fire_time, r.outcome, r.task_id,
    r.reason, r.triggered
from schedule s
left join schedule_run r on r.schedule_id = s.id and r.number = s.runs
where s.tenant_id = $1
  and ($2::text is null or s.name collate "C" > $2)
  and (
      cardinality($3::smallint[]) = 0
      or case when s.paused then 2 when s.next_due is null then 3 else 1 end = any ($3)
  )
order by s.name collate "C"
limit $4
