update api_key set revoke_time = $3 where tenant_id = $1 and id = $2 and revoke_time is null
