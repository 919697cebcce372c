-- Unpriced records have no currency and so stand in rows of their own, which come last. Sums that
-- are more than their field can hold are shown as its greatest value.
with summed as (
    select case $2
               when 'TASK' then coalesce(task_id::text, '')
               when 'AGENT' then coalesce(agent_id::text, '')
               when 'PROJECT' then coalesce(project_id::text, '')
               when 'EXECUTION' then coalesce(execution_id::text, '')
               when 'MODEL' then case when model = '' then '' else provider || '/' || model end
               when 'OUTCOME' then outcome
               else ''
           end as key,
           currency::text as currency,
           sum(cost) as cost,
           count(*) filter (where status = 'PRICED') as record_count,
           count(*) filter (where status = 'UNPRICED') as unpriced_count,
           least(sum(input_tokens::numeric + cached_input_tokens), 9223372036854775807)::bigint
               as input_tokens,
           least(sum(output_tokens), 9223372036854775807)::bigint as output_tokens,
           -- A Duration ends at 315,576,000,000 seconds.
           least(sum(busy_micros), 315576000000000000)::bigint as busy_micros
    from usage_record
    where tenant_id = $1
      and ($3::uuid is null or task_id = $3)
      and ($4::uuid is null or agent_id = $4)
      and ($5::uuid is null or project_id = $5)
      and ($6::uuid is null or execution_id = $6)
      and ($7::timestamptz is null or use_time >= $7)
      and ($8::timestamptz is null or use_time < $8)
    group by 1, 2
)
select * from summed
where $9::text is null
   or case when $11::text is null
          then currency is null and key > $9
          else currency is null or cost < $10 or (cost = $10 and (key, currency) > ($9, $11))
      end
order by cost desc nulls last, key, currency
limit $12
