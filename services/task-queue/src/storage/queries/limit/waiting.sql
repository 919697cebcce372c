-- The allowances for which tasks wait, without reading each task.
with recursive next (tenant_id, allowance) as (
    (select tenant_id, allowance from limit_wait order by tenant_id, allowance limit 1)
    union all
    select after.tenant_id, after.allowance
    from next
    cross join lateral (
        select tenant_id, allowance from limit_wait
        where (tenant_id, allowance) > (next.tenant_id, next.allowance)
        order by tenant_id, allowance
        limit 1
    ) as after
)
select tenant_id, allowance from next limit 10000
