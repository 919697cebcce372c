select * from usage_charge where usage_id = any($1) order by usage_id, line
