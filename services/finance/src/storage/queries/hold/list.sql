select * from hold
where tenant_id = $1
  and ($2::uuid is null or budget_id = $2)
  and ($3::uuid is null or task_id = $3)
  and ($4::text = '' or state = $4)
  and ($5::uuid is null or id < $5)
order by id desc
limit $6
