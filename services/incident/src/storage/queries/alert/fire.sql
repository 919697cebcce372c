update alert set state = $3, incident_id = $2 where id = $1
