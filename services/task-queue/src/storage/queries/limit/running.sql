-- How many tasks of each of these allowances are with agents.
select s.tenant_id, s.allowance, count(*)::integer as running
from unnest($1::uuid[], $2::text[]) as x (tenant_id, allowance)
join limit_slot s on s.tenant_id = x.tenant_id and s.allowance = x.allowance
join task_run r on r.task_id = s.task_id and r.tenant_id = s.tenant_id
where r.state in (2, 3, 5)
group by s.tenant_id, s.allowance
