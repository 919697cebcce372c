-- Demands of which no task is left and that nobody wanted since. A replica that remembers a demand
-- writes tasks without looking here, for far less time than this.
delete from demand d
where d.use_time < $1
  and not exists (
      select from task_run r where r.tenant_id = d.tenant_id and r.demand = d.id
  )
returning d.tenant_id
