update budget b
set reserved = b.reserved + m.reserved, spent = b.spent + m.spent
from unnest($1::uuid[], $2::numeric[], $3::numeric[]) as m (id, reserved, spent)
where b.id = m.id
