-- Unpriced records have no currency and so stand in rows of their own.
select case $2
           when 'TASK' then coalesce(task_id::text, '')
           when 'AGENT' then coalesce(agent_id::text, '')
           when 'PROJECT' then coalesce(project_id::text, '')
           when 'EXECUTION' then coalesce(execution_id::text, '')
           when 'MODEL' then case when model = '' then '' else provider || '/' || model end
           when 'OUTCOME' then outcome
           else ''
       end as key,
       currency,
       sum(cost) as cost,
       count(*) filter (where status = 'PRICED') as record_count,
       count(*) filter (where status = 'UNPRICED') as unpriced_count,
       sum(input_tokens + cached_input_tokens)::bigint as input_tokens,
       sum(output_tokens)::bigint as output_tokens,
       sum(busy_micros)::bigint as busy_micros
from usage_record
where tenant_id = $1
  and ($3::uuid is null or task_id = $3)
  and ($4::uuid is null or agent_id = $4)
  and ($5::uuid is null or project_id = $5)
  and ($6::uuid is null or execution_id = $6)
  and ($7::timestamptz is null or use_time >= $7)
  and ($8::timestamptz is null or use_time < $8)
group by 1, 2
order by cost desc nulls last, key, currency
limit $9
