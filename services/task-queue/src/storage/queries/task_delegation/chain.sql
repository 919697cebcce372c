-- The last links of a task's chain, newest first.
select * from task_delegation
where task_id = $1 and tenant_id = $2
order by position desc
limit $3
