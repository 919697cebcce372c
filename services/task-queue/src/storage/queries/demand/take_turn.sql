-- Lets one transaction of a tenant at a time count its demands and add to them, so that the limit
-- holds. 7462 is this service's number for such locks of demands.
select pg_advisory_xact_lock(7462, hashtext($1::text))
