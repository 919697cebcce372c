select * from hold where id = any($1) order by id for no key update
