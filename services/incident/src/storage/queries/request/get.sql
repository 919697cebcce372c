select digest, resource_id from request
where tenant_id = $1 and method = $2 and request_id = $3
