insert into incident_part (id, incident_id, tenant_id, kind, body) values ($1, $2, $3, $4, $5)
