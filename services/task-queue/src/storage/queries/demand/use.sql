-- Notes that demands are wanted; answers which of them are there.
update demand
set use_time = greatest(use_time, $3)
where tenant_id = $1 and id = any ($2)
returning id
