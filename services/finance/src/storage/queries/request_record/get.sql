select body_sha256, resource_id from request_record
where tenant_id = $1 and method = $2 and request_id = $3
