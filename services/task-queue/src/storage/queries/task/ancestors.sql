-- The tasks above a part that is to be made of task $1, from there upwards, as far as a chain may go
-- and one further; with whether each is about the same.
with recursive above as (
    select id, parent_task_id, 1 as depth
    from task
    where id = $1 and tenant_id = $2
    union all
    select t.id, t.parent_task_id, above.depth + 1
    from above
    join task t on t.id = above.parent_task_id and t.tenant_id = $2
    where above.depth <= $6
)
select t.type = $3 and t.capability = $4 and t.parameters is not distinct from $5
from above
join task t on t.id = above.id
order by above.depth
