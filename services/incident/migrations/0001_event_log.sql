-- The log of every service's events, a tenant at a time. It is the audit trail too: the event is
-- the entry, so a change costs one row here and not two.
--
-- Numbers of a tenant's log have no gaps, and a row is visible only when all rows before it are:
-- whoever appends holds the tenant's row in tenant_log locked until the commit. A reader that
-- keeps the last number it saw therefore misses nothing.
create table event (
    tenant_id uuid not null,
    position bigint not null check (position > 0),
    event_id uuid not null,
    source text not null,
    sequence bigint not null check (sequence > 0),
    type text not null,
    resource_type text not null,
    resource_id text not null,
    occur_time timestamptz not null,
    actor_kind text not null check (actor_kind in ('USER', 'AGENT', 'SERVICE')),
    actor_subject text not null,
    actor_name text not null,
    request_id text not null,
    traceparent text not null,
    data jsonb not null,
    record_time timestamptz not null,
    -- SHA-256 over this row and the hash before it; see domain/logged.rs for the recipe.
    previous_hash bytea not null check (octet_length(previous_hash) = 32),
    hash bytea not null check (octet_length(hash) = 32),
    primary key (tenant_id, position)
);
create index event_by_id on event (event_id);
create index event_by_type on event (tenant_id, type, position);
create index event_by_resource on event (tenant_id, resource_id, position);
create index event_by_actor on event (tenant_id, actor_subject, position);
-- What one call changed; what loops change has no request.
create index event_by_request on event (tenant_id, request_id, position) where request_id <> '';
-- What finance booked for a task, for post-mortems.
create index event_cost_by_task
    on event (tenant_id, (data->>'task_id'), position) where type = 'usage.recorded';
-- Attempts of a workflow's steps are tasks of their own; evidence finds them by the run. Only
-- failures are in it, so it stays small.
create index event_failure_by_origin
    on event (tenant_id, (data #>> '{origin,resource_id}'), position)
    where type in ('task.failed', 'task.timed_out');

alter table event enable row level security;
alter table event force row level security;
create policy tenant on event
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- The end of each tenant's chain. The row is locked once for a batch.
create table tenant_log (
    tenant_id uuid primary key,
    position bigint not null check (position >= 0),
    hash bytea not null check (octet_length(hash) = 32)
);
alter table tenant_log enable row level security;
alter table tenant_log force row level security;
create policy tenant on tenant_log
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- How far each source's log is recorded, so that no event comes twice, whatever happens to cursors. A
-- row of this costs a batch one update; a unique index on (source, sequence) would cost an insert for
-- each event.
create table recorded_source (
    source text primary key,
    sequence bigint not null check (sequence > 0)
);
alter table recorded_source enable row level security;
alter table recorded_source force row level security;
create policy internal on recorded_source
    using (current_setting('reeve.all_tenants', true) = 'on');

create function refuse_going_back() returns trigger language plpgsql as $$
begin
    raise exception '% is recorded up to %, not only to %', old.source, old.sequence, new.sequence;
end $$;
create trigger recorded_source_grows before update on recorded_source
    for each row when (new.sequence <= old.sequence) execute function refuse_going_back();

-- The rights say that rows are only ever added; the trigger says it to the owner as well.
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end $$;
revoke update, delete, truncate on event from incident_app;
create trigger append_only before update or delete on event
    for each row execute function refuse_change();
create trigger append_only_truncate before truncate on event
    for each statement execute function refuse_change();
