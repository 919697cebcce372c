-- Open gates of a tenant after one, oldest first. A part of the filter that is empty holds for all.
select * from task_gate
where tenant_id = $2 and state = 1
  and ($1::uuid is null or id > $1)
  and (cardinality($3::smallint[]) = 0 or kind = any ($3))
  and (cardinality($4::text[]) = 0 or queue = any ($4))
  and (cardinality($5::text[]) = 0 or type = any ($5))
order by id
limit $6
