select * from alert
where tenant_id = $1
    and ($2::uuid is null or id < $2)
    and ($3::uuid is null or rule_id = $3)
    and ($4::uuid is null or incident_id = $4)
    and (cardinality($5::text[]) = 0 or state = any ($5))
order by id desc
limit $6
