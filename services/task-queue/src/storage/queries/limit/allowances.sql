-- The allowances of a limit that are in use, fullest first.
select allowance, sum(running)::integer as running, sum(throttled)::integer as throttled
from (
    select s.allowance, 1 as running, 0 as throttled
    from limit_slot s
    join task_run r on r.task_id = s.task_id and r.tenant_id = s.tenant_id
    where s.tenant_id = $1 and starts_with(s.allowance, $2) and r.state in (2, 3, 5)
    union all
    select allowance, 0, 1 from limit_wait
    where tenant_id = $1 and starts_with(allowance, $2)
) as uses
group by allowance
order by running desc, throttled desc, allowance
limit $3
