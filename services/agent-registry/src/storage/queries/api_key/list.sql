-- The state is derived, as domain/api_key.rs does: revoked wins over expired.
select id, tenant_id, name, kind, permissions, created_by, create_time, expire_time, revoke_time,
       last_use_time
from api_key
where tenant_id = $1
  and ($2::uuid is null or id > $2)
  and ($3::text is null or kind = $3)
  and ($4::text[] is null or case
          when revoke_time is not null then 'REVOKED'
          when expire_time <= $5 then 'EXPIRED'
          else 'ACTIVE' end = any ($4))
order by id
limit $6
