-- True at most once a minute, so that a waiting fleet does not flood the log.
update budget set exhaust_time = $3
where tenant_id = $1 and id = $2
  and (exhaust_time is null or exhaust_time <= $3 - interval '1 minute')
