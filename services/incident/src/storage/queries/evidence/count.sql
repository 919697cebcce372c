-- How much evidence an incident has: pieces, and bytes.
select count(*), coalesce(sum(bytes), 0)::bigint from evidence
where tenant_id = $1 and incident_id = $2
