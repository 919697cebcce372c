select h.* from hold h
join unnest($1::uuid[], $2::uuid[]) as k (tenant_id, id)
  on (h.tenant_id, h.id) = (k.tenant_id, k.id)
order by h.id for no key update of h
