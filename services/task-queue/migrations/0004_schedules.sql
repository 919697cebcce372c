-- Schedules: cron lines that create tasks. They are few, at most a thousand for each tenant, so
-- unlike those of tasks their rows may have indexes on what changes.
--
-- Whoever comes to a schedule whose time it is locks its row, and writes in one transaction the
-- task, the run, the events and the next due time. A crash before the commit leaves nothing behind,
-- one after it leaves nothing undone; another replica passes over a locked row, and finds it moved
-- on when it looks again.

create table schedule (
    id uuid primary key,
    tenant_id uuid not null,
    name text not null,
    version integer not null,
    cron text not null,
    time_zone text not null,
    start_time timestamptz,
    end_time timestamptz,
    jitter_ms bigint not null check (jitter_ms >= 0),
    -- 1 skip, 2 run once, 3 run all.
    missed smallint not null check (missed between 1 and 3),
    catch_up_ms bigint not null check (catch_up_ms > 0),
    catch_up_limit integer not null check (catch_up_limit > 0),
    -- 1 allow, 2 skip, 3 cancel the one before.
    overlap smallint not null check (overlap between 1 and 3),
    -- A reeve.task.v1.TaskSpec without its parameters, and those, which lists do not read.
    task bytea not null,
    parameters bytea,
    paused boolean not null,
    pause_reason text not null,
    -- The first due time that was not handled, and when it is to be: the due time and the
    -- schedule's part of the jitter. Null when it is paused, or none is left.
    next_due timestamptz,
    next_fire timestamptz,
    -- The last due time that was handled. It never falls, so that no clock makes one due twice.
    handled timestamptz,
    -- How many runs there were.
    runs bigint not null,
    last_task_id uuid,
    -- The client's request id with the digest of what it asked for.
    request_id text,
    digest bytea,
    creator_kind smallint not null,
    creator_subject text not null,
    creator_name text not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check ((next_due is null) = (next_fire is null)),
    check (not paused or next_due is null),
    check (next_due is null or handled is null or next_due > handled)
);
create unique index schedule_name on schedule (tenant_id, name);
create unique index schedule_request on schedule (tenant_id, request_id)
    where request_id is not null;
create index schedule_by_fire on schedule (next_fire) where next_fire is not null;

-- What became of due times. Only added to, and cut to the latest thousand of each schedule.
create table schedule_run (
    schedule_id uuid not null,
    number bigint not null check (number > 0),
    tenant_id uuid not null,
    due_time timestamptz not null,
    -- The last of several that were skipped, and how many.
    last_due_time timestamptz not null,
    due_count integer not null check (due_count > 0),
    fire_time timestamptz not null,
    -- 1 CREATED, 2 SKIPPED_MISSED, 3 SKIPPED_OVERLAP, 4 FAILED.
    outcome smallint not null check (outcome between 1 and 4),
    task_id uuid,
    reason text not null,
    triggered boolean not null,
    request_id text,
    primary key (schedule_id, number),
    check ((outcome = 1) = (task_id is not null)),
    check (last_due_time >= due_time)
);
-- The second wall: no due time is handled twice.
create unique index schedule_run_due on schedule_run (schedule_id, due_time) where not triggered;
create unique index schedule_run_request on schedule_run (schedule_id, request_id)
    where request_id is not null;

create trigger schedule_run_immutable before update on schedule_run
for each row execute function refuse_change();

alter table schedule enable row level security;
alter table schedule force row level security;
create policy tenant on schedule
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table schedule_run enable row level security;
alter table schedule_run force row level security;
create policy tenant on schedule_run
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
