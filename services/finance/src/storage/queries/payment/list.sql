select * from payment
where tenant_id = $1
  and ($2::uuid is null or invoice_id = $2)
  and ($3::text = '' or status = $3)
  and ($4::uuid is null or id < $4)
order by id desc
limit $5
