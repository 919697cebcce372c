-- Which tasks the attempts became, of all tenants. Whoever created them knows best.
insert into dispatch (tenant_id, execution_id, step_id, attempt, task_id)
select tenant_id, execution_id, step_id, attempt, task_id
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::uuid[])
    as created (tenant_id, execution_id, step_id, attempt, task_id)
on conflict (execution_id, step_id, attempt) do update set task_id = excluded.task_id
