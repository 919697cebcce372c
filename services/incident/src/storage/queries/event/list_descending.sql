-- Entries beyond $2 and up to $13. An empty array or text selects everything. $5 holds the nouns of patterns like "task.*".
select * from event
where tenant_id = $1
    and ($2::bigint is null or position < $2)
    and ($13::bigint is null or position >= $13)
    and (cardinality($3::text[]) = 0 or source = any ($3))
    and (cardinality($4::text[]) + cardinality($5::text[]) = 0
        or type = any ($4) or split_part(type, '.', 1) = any ($5))
    and ($6 = '' or resource_type = $6)
    and ($7 = '' or resource_id = $7)
    and ($8 = '' or actor_subject = $8)
    and ($9 = '' or request_id = $9)
    and ($10::timestamptz is null or occur_time >= $10)
    and ($11::timestamptz is null or occur_time < $11)
order by position desc
limit $12
