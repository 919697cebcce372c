-- Waits for the grants to this tenant that are being written, which may not have seen the brake, and
-- holds up those that come until it can be seen. Grants take the same lock, shared, as they begin.
select pg_advisory_xact_lock($1, $2)
