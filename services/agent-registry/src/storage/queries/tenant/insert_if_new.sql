insert into tenant (id, name, create_time) values ($1, $2, $3)
on conflict (name) do nothing
