-- Which of these sources are recorded already.
select distinct source from usage_record where tenant_id = $1 and source = any($2)
