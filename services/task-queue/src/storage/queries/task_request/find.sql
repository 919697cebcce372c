-- Who claimed these request ids and has them still, in the order of the question.
select x.position, r.task_id, r.digest
from unnest($1::uuid[], $2::text[]) with ordinality as x (tenant_id, request_id, position)
join task_request r on r.tenant_id = x.tenant_id and r.request_id = x.request_id
where r.expire_time is null or r.expire_time > $3
order by x.position
