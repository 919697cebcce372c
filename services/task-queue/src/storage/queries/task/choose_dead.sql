-- Dead letters that a filter chooses, newest first, after one.
select t.id
from task_outcome o
join task t on t.id = o.task_id
where t.tenant_id = $2
  and ($1::uuid is null or t.id < $1)
  and (cardinality($3::smallint[]) = 0 or o.state = any ($3))
  and (cardinality($4::text[]) = 0 or t.queue = any ($4))
  and (cardinality($5::text[]) = 0 or t.type = any ($5))
  and ($6::uuid is null or t.project_id = $6)
  and ($7::uuid is null or t.parent_task_id = $7)
  and ($8::text is null or t.origin_kind = $8)
  and ($9::text is null or t.origin_resource_id = $9)
  and ($10::uuid is null or o.agent_id = $10)
  and ($11::jsonb is null or t.labels @> $11)
  and (cardinality($12::uuid[]) = 0 or t.id = any ($12))
  and ($13::timestamptz is null or t.create_time >= $13)
  and ($14::timestamptz is null or t.create_time < $14)
  and o.state in (7, 9)
  and not exists (select from task_discard d where d.task_id = t.id)
order by t.id desc
limit $15
