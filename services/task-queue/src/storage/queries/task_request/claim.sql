-- Claims request ids; those that are not returned were claimed before, in this statement too, and are
-- not free again. Sorted, so that two replicas cannot deadlock.
insert into task_request as r (tenant_id, request_id, task_id, digest, expire_time)
select tenant_id, request_id, task_id, digest, expire_time
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::bytea[], $5::timestamptz[])
    as x (tenant_id, request_id, task_id, digest, expire_time)
order by tenant_id, request_id
on conflict (tenant_id, request_id) do update
set task_id = excluded.task_id, digest = excluded.digest, expire_time = excluded.expire_time
where r.expire_time <= $6
returning task_id
