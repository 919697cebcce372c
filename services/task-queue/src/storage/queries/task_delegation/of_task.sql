-- A task's chain in its order, after a place in it.
select * from task_delegation
where tenant_id = $1
  and task_id = $2
  and position > $3
  and ($4::uuid is null or from_agent_id = $4)
  and ($5::uuid is null or to_agent_id = $5)
  and (cardinality($6::smallint[]) = 0 or type = any ($6))
  and (cardinality($7::smallint[]) = 0 or outcome = any ($7))
  and ($8::timestamptz is null or delegate_time >= $8)
  and ($9::timestamptz is null or delegate_time < $9)
order by position
limit $10
