-- The events of a service, from the transaction that made a change to those who read of it.
--
-- A transaction that changes something inserts one row here, with all its events, so that a change
-- and its events commit together and a batch of a thousand changes costs one row. Events are
-- length-delimited reeve.event.v1.Event messages without a sequence.
create table outbox (
    id bigint generated always as identity primary key,
    event_count integer not null check (event_count > 0),
    events bytea not null,
    create_time timestamptz not null default now()
);

-- The relay moves rows from the outbox into this log, in the order of their ids, and numbers the
-- events without gaps. A transaction that saw another's change has the greater id, so the order
-- respects causes. Rows are never changed, only dropped when they are older than the retention.
create table event_log (
    last_sequence bigint primary key,
    first_sequence bigint not null check (first_sequence between 1 and last_sequence),
    events bytea not null,
    create_time timestamptz not null default now()
);

-- The one row that whoever relays holds locked: two relays never number the same event.
create table event_head (
    singleton boolean primary key default true check (singleton),
    last_sequence bigint not null
);
insert into event_head (last_sequence) values (0);

-- Batches of events are much alike inside, and are read back at once by every consumer: LZ4 is the
-- cheaper compression for that. A PostgreSQL that was built without it keeps the default.
do $$ begin
    alter table outbox alter column events set compression lz4;
    alter table event_log alter column events set compression lz4;
exception when feature_not_supported then
    raise notice 'this PostgreSQL has no LZ4; events are compressed with pglz';
end $$;

-- How far this service has read each other service's log. A cursor moves in the transaction that
-- applies the events, so each takes effect exactly once.
create table consumer_cursor (
    source text not null,
    consumer text not null,
    sequence bigint not null default 0 check (sequence >= 0),
    update_time timestamptz not null default now(),
    primary key (source, consumer)
);

-- The second wall between tenants, here too: these rows hold every tenant's events. A transaction of
-- one tenant writes its events and reads nobody's, its own neither; only what says that it sees all
-- tenants (the relay, the feed, consumers) reads.
alter table outbox enable row level security;
alter table outbox force row level security;
create policy append on outbox for insert with check (true);
create policy internal on outbox using (current_setting('reeve.all_tenants', true) = 'on');
alter table event_log enable row level security;
alter table event_log force row level security;
create policy internal on event_log using (current_setting('reeve.all_tenants', true) = 'on');
alter table consumer_cursor enable row level security;
alter table consumer_cursor force row level security;
create policy internal on consumer_cursor using (current_setting('reeve.all_tenants', true) = 'on');
