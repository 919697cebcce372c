-- The newest incident of a key that is over, and the open one that it was closed as a duplicate of.
select past.id, coalesce(past.close_time, past.resolve_time) as end_time, past.close_reason,
    original.id as original_id
from incident past
left join incident original
    on original.id = past.duplicate_of and original.tenant_id = past.tenant_id
    and original.status not in ('RESOLVED', 'CLOSED')
where past.tenant_id = $1 and past.incident_key = $2 and past.status in ('RESOLVED', 'CLOSED')
order by past.id desc
limit 1
