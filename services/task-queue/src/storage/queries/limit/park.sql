-- Tasks that found no room wait beside the ready queues.
with x as (
    select * from unnest($1::uuid[], $2::uuid[], $3::text[]) as x (task_id, tenant_id, allowance)
),
parked as (
    update task_run r set parked = true
    from x
    where r.task_id = x.task_id and r.tenant_id = x.tenant_id and r.state = 1 and not r.parked
    returning r.task_id, r.tenant_id, r.order_score, x.allowance
)
insert into limit_wait (task_id, tenant_id, allowance, order_score)
select task_id, tenant_id, allowance, order_score from parked
on conflict (task_id) do update
set allowance = excluded.allowance, order_score = excluded.order_score
