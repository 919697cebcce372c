-- When the earliest timer of all tenants fires.
select min(fire_time) from timer
