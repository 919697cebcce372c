-- Drops old batches from the log, the oldest thousand at most, so that it never holds many locks and
-- reads no more than it may drop. The newest batch stays: readers learn the head from the log too.
delete from event_log
where last_sequence in (select last_sequence from event_log order by last_sequence limit $2)
    and create_time < now() - make_interval(days => $1)
    and last_sequence < (select last_sequence from event_head)
