-- Moves the oldest rows of the outbox into the log, numbering their events: $1 rows at most, and one
-- more than fit into $2 bytes. Whoever holds the head's row works; another relay skips it and moves
-- nothing.
with head as (
    select last_sequence from event_head where exists (select from outbox) for update skip locked
),
oldest as (
    select id, octet_length(events) as bytes from outbox
    where exists (select from head) order by id limit $1
),
taken as (
    select id, sum(bytes) over (order by id) - bytes as bytes_before from oldest
),
batch as (
    delete from outbox where id in (select id from taken where bytes_before < $2)
    returning id, event_count, events
),
numbered as (
    select (select last_sequence from head) + sum(event_count) over (order by id) as last_sequence,
           event_count, events
    from batch
),
logged as (
    insert into event_log (first_sequence, last_sequence, events)
    select last_sequence - event_count + 1, last_sequence, events from numbered
    returning first_sequence, last_sequence, events
),
advanced as (
    update event_head set last_sequence = (select max(last_sequence) from logged)
    where exists (select from logged)
)
select first_sequence, last_sequence, events from logged order by last_sequence
