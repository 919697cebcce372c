select count(*) from evidence where incident_id = $1
