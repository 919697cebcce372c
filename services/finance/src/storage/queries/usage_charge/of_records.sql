select * from usage_charge where tenant_id = $1 and usage_id = any($2) order by usage_id, line
