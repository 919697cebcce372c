select id, name, create_time from tenant where name = $1
