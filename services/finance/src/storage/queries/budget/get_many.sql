select * from budget where id = any($1)
