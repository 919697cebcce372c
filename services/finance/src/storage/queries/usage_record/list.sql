select * from usage_record
where tenant_id = $1
  and ($2::uuid is null or task_id = $2)
  and ($3::uuid is null or agent_id = $3)
  and ($4::uuid is null or project_id = $4)
  and ($5::uuid is null or execution_id = $5)
  and ($6::text = '' or status = $6)
  and ($7::timestamptz is null or use_time >= $7)
  and ($8::timestamptz is null or use_time < $8)
  and ($9::uuid is null or id < $9)
order by id desc
limit $10
