-- Commands that are to be tried again at a time of their own.
update command
set next_time = postponed.next_time
from unnest($1::bigint[], $2::timestamptz[]) as postponed (id, next_time)
where command.id = postponed.id
