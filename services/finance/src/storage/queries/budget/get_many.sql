-- Of several tenants, for loops and the consumer.
select b.* from budget b
join unnest($1::uuid[], $2::uuid[]) as k (tenant_id, id)
  on (b.tenant_id, b.id) = (k.tenant_id, k.id)
