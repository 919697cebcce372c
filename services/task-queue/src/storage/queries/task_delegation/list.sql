-- Delegations of a tenant, newest first, before an id. A part of the filter that is null or empty
-- holds for all.
select * from task_delegation
where tenant_id = $1
  and ($2::uuid is null or id < $2)
  and ($3::uuid is null or from_agent_id = $3)
  and ($4::uuid is null or to_agent_id = $4)
  and (cardinality($5::smallint[]) = 0 or type = any ($5))
  and (cardinality($6::smallint[]) = 0 or outcome = any ($6))
  and ($7::timestamptz is null or delegate_time >= $7)
  and ($8::timestamptz is null or delegate_time < $8)
order by id desc
limit $9
