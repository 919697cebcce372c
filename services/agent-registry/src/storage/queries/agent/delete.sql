delete from agent where tenant_id = $1 and id = $2 and state = 'OFFLINE'
