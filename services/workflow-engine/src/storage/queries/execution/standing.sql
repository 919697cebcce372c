-- Where an execution stands, in figures: all that a watch needs of it.
select execution.state, execution.last_sequence, count(step_run) as steps,
    count(step_run) filter (
        where step_run.state in ('COMPLETED', 'FAILED', 'SKIPPED', 'CANCELLED')
    ) as ended
from execution left join step_run on step_run.execution_id = execution.id
where execution.tenant_id = $1 and execution.id = $2
group by execution.id
