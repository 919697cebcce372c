select * from rate_card
where tenant_id = $1
  and ($2::text = '' or name = $2)
  and ($3::timestamptz is null or (valid_from <= $3 and (valid_to is null or valid_to > $3)))
  and ($4::uuid is null or id < $4)
order by id desc
limit $5
