-- How many tasks of each line are ready: what Redis should hold.
select tenant_id, queue, capability, demand, line, count(*) as tasks
from task_run
where state = 1 and not parked and gate = 0 and ready_time <= $1 and blocked_by = 0
  and (admission = 0 or (admission = 3 and hold_expire_time > $1))
  and case
      when (select exists (select from brake))
      then not exists (select from brakes_on(task_id, tenant_id, queue, capability))
      else true
  end
group by tenant_id, queue, capability, demand, line
