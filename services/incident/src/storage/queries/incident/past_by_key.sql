-- The newest incident of a key that is over, and the open one that it was closed as a duplicate of.
-- It was over when it was resolved: what comes after that and before it is closed came back. One that
-- was closed without a resolution was over then.
select past.id, coalesce(past.resolve_time, past.close_time) as end_time, past.close_reason,
    original.id as original_id
from incident past
left join incident original
    on original.id = past.duplicate_of and original.tenant_id = past.tenant_id
    and original.status not in ('RESOLVED', 'CLOSED')
where past.tenant_id = $1 and past.incident_key = $2 and past.status in ('RESOLVED', 'CLOSED')
order by past.id desc
limit 1
