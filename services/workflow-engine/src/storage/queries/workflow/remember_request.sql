insert into workflow_request (tenant_id, request_id, workflow_id, version) values ($1, $2, $3, $4)
