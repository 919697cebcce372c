-- A schedule with its runs.
with runs as (
    delete from schedule_run where tenant_id = $1 and schedule_id = $2
)
delete from schedule where tenant_id = $1 and id = $2
