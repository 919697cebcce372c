-- Claims request ids; those that are not returned were claimed before, in this statement too.
-- Sorted, so that two replicas cannot deadlock.
insert into task_request (tenant_id, request_id, task_id, digest)
select tenant_id, request_id, task_id, digest
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::bytea[])
    as x (tenant_id, request_id, task_id, digest)
order by tenant_id, request_id
on conflict do nothing
returning task_id
