-- Keeps two creates of a tenant from counting its schedules at the same time; ends with the
-- transaction.
select pg_advisory_xact_lock(hashtextextended('schedules/' || $1::uuid::text, 0))
