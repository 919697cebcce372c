-- Who waits for these tasks; one row for each pair.
select d.depends_on, d.task_id, d.tenant_id
from task_dependency d
where d.depends_on = any ($1)
