update alert set state = 'RESOLVED' where tenant_id = $1 and incident_id = $2 and state = 'FIRING'
