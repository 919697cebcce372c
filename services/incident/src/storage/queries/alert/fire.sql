update alert set state = $4, incident_id = $3 where tenant_id = $1 and id = $2
