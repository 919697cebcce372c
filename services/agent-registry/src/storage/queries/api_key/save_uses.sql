-- One statement for every use since the last flush; a later one that another replica saw stays.
update api_key k set last_use_time = u.last_use_time
from unnest($1::uuid[], $2::timestamptz[]) as u (id, last_use_time)
where k.id = u.id and (k.last_use_time is null or k.last_use_time < u.last_use_time)
