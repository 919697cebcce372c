update incident_part set body = $3 where tenant_id = $1 and id = $2
