-- Of any tenant, for loops and the consumer; in the order of ids.
select id from budget where id = any($1) order by id for no key update
