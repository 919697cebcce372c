update budget b
set reserved = b.reserved + m.reserved, spent = b.spent + m.spent
from unnest($1::uuid[], $2::uuid[], $3::numeric[], $4::numeric[])
    as m (tenant_id, id, reserved, spent)
where (b.tenant_id, b.id) = (m.tenant_id, m.id)
