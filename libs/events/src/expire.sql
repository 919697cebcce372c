-- Drops old batches from the log, a thousand at a time and oldest first, so that it never holds
-- many locks. The newest batch stays: readers learn the head from the log too.
delete from event_log
where last_sequence in (
    select last_sequence from event_log
    where create_time < now() - make_interval(days => $1)
      and last_sequence < (select last_sequence from event_head)
    order by last_sequence limit 1000
)
