-- Tenants whose log has grown since the rules were last applied to it, in turn: first those after the
-- one that was last begun with, so that nobody waits for ever behind others.
select log.tenant_id
from tenant_log log
left join rule_cursor cursor on cursor.tenant_id = log.tenant_id
where log.position > coalesce(cursor.position, 0)
order by log.tenant_id <= $2, log.tenant_id
limit $1
