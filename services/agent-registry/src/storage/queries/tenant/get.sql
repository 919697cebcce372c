select id, name, create_time from tenant where id = $1
