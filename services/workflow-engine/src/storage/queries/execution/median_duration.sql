-- Median duration in seconds of the workflow's last 50 completed executions.
select percentile_cont(0.5) within group (order by extract(epoch from end_time - start_time)::float8)
from (
    select start_time, end_time
    from execution
    where tenant_id = $1 and workflow_id = $2 and state = 'COMPLETED'
    order by id desc
    limit 50
) as recent
