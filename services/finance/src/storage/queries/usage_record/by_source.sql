select * from usage_record where tenant_id = $1 and source = $2 order by line
