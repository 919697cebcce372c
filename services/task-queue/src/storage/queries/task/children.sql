-- How many children a task has in each state.
select coalesce(r.state, o.state) as state, count(*)::integer as tasks
from task t
left join task_run r on r.task_id = t.id
left join task_outcome o on o.task_id = t.id
where t.tenant_id = $1 and t.parent_task_id = $2
group by 1
