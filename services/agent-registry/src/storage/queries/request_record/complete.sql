update request_record set resource_id = $4, epoch = $5
where tenant_id = $1 and method = $2 and request_id = $3
