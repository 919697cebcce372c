-- Tenants whose log has grown since the rules were last applied to it.
select log.tenant_id
from tenant_log log
left join rule_cursor cursor on cursor.tenant_id = log.tenant_id
where log.position > coalesce(cursor.position, 0)
limit $1
