-- Lets one transaction of a tenant at a time count its types and add to them, so that limits hold.
-- 7461 is this service's number for such locks of types.
select pg_advisory_xact_lock(7461, hashtext($1::text))
