-- Of several tenants, for loops and the consumer; in the order of ids.
select b.id from budget b
join unnest($1::uuid[], $2::uuid[]) as k (tenant_id, id)
  on (b.tenant_id, b.id) = (k.tenant_id, k.id)
order by b.id for no key update of b
