-- Locks the ends of these tenants' chains, in the same order for everyone, so that two batches
-- cannot wait for each other. A statement of its own, so that it sees heads that another
-- transaction made a moment ago.
select tenant_id, position, hash from tenant_log
where tenant_id = any ($1) order by tenant_id for update
