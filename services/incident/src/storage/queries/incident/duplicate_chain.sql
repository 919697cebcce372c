-- Where a chain of duplicates leads from an incident; the depth bounds a chain that other
-- transactions bend while it is read.
with recursive chain (id, next, depth) as (
    select id, duplicate_of, 1 from incident where tenant_id = $1 and id = $2
    union all
    select incident.id, incident.duplicate_of, depth + 1
    from chain join incident on incident.id = chain.next and incident.tenant_id = $1
    where depth < 100
)
select id from chain
