-- Moves the oldest rows of the outbox into the log, numbering their events. Whoever holds the
-- head's row works; another relay skips it and moves nothing.
with head as (
    select last_sequence from event_head for update skip locked
),
batch as (
    delete from outbox
    where id in (select id from outbox where exists (select from head) order by id limit $1)
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
