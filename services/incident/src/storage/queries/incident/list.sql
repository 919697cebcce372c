-- Newest first by id, which is by creation. An empty array or text selects everything.
select * from incident
where tenant_id = $1
    and ($2::uuid is null or id < $2)
    and (cardinality($3::text[]) = 0 or status = any ($3))
    and (cardinality($4::text[]) = 0 or severity = any ($4))
    and (cardinality($5::text[]) = 0 or priority = any ($5))
    and (cardinality($6::text[]) = 0 or category = any ($6))
    and (cardinality($7::text[]) = 0 or source = any ($7))
    and ($8 = '' or project_id = $8)
    and ($9 = '' or assignee = $9)
    and ($10::uuid is null or rule_id = $10)
    and ($11 = '' or exists (
        select from evidence
        where evidence.tenant_id = $1 and evidence.task_id = $11 and incident_id = incident.id
    ))
    and labels @> $12
    and ($13::timestamptz is null or detect_time >= $13)
    and ($14::timestamptz is null or detect_time < $14)
    and (not $15 or coalesce(acknowledge_time > due_time, due_time <= $16))
    and ($17::uuid[] is null or id = any ($17))
order by id desc
limit $18
