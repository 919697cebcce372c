select body_digest, resource_id, epoch from request_record
where tenant_id = $1 and method = $2 and request_id = $3
