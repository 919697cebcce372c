-- Tasks, split by how often each part changes.
--
-- `task` never changes, `task_run` is the small hot row of a task that is not over, `task_outcome`
-- takes its place when it is over. The order in which tasks run is not here but in Redis; agents
-- claim by primary key. No index covers a column that changes, so updates stay within their page
-- (HOT), and a snapshot that someone holds open, which brings ordered claims to a crawl, costs
-- nothing. Rows refer to each other without foreign keys: they are written by the same
-- transactions, and checking each reference would double the cost of a task.

-- What is to be done. Filters of lists use only these columns, which never change.
create table task (
    id uuid primary key,
    tenant_id uuid not null,
    type text not null,
    title text not null,
    queue text not null,
    capability text not null,
    priority smallint not null check (priority between 1 and 4),
    -- Input for the agent; null for none.
    parameters jsonb,
    project_id uuid,
    parent_task_id uuid,
    origin_kind text,
    origin_resource_id text,
    labels jsonb not null,
    -- What no query looks into: description, creator, retry policy, timeouts, budget, …
    details jsonb not null,
    create_time timestamptz not null
);
-- Newest first within a tenant; ids are UUIDv7.
create unique index task_by_tenant on task (tenant_id, id desc);
create index task_by_project on task (tenant_id, project_id, id desc) where project_id is not null;
create index task_by_parent on task (tenant_id, parent_task_id, id desc)
    where parent_task_id is not null;
create index task_by_origin on task (tenant_id, origin_kind, origin_resource_id, id desc)
    where origin_kind is not null;

-- Where a task stands that is not over. One narrow row; pages are left more than half
-- empty, so that every task of a page can be granted at once and each update stay HOT.
create table task_run (
    task_id uuid primary key,
    tenant_id uuid not null,
    -- Copies, so that no scan for ready tasks has to join.
    queue text not null,
    capability text not null,
    priority smallint not null,
    heartbeat_ms bigint,
    close_ms bigint,
    -- 1 PENDING, 2 ASSIGNED, 3 ACCEPTED, 5 IN_PROGRESS. REJECTED is never at rest.
    state smallint not null check (state in (1, 2, 3, 5)),
    version integer not null,
    attempt integer not null,
    -- Grows with every grant and never falls, so that a token names one grant for ever.
    fence bigint not null,
    failures integer not null,
    lost_leases integer not null,
    -- Dependencies that are not complete.
    blocked_by integer not null check (blocked_by >= 0),
    -- 0 no budget, 1 a hold is to be got, 2 over budget, 3 held.
    admission smallint not null check (admission between 0 and 3),
    hold_id uuid,
    -- From then on the hold sets nothing aside any more, and another has to be got.
    hold_expire_time timestamptz,
    -- When the budget was last asked.
    ask_time timestamptz,
    order_score bigint not null,
    ready_time timestamptz not null,
    update_time timestamptz not null,
    agent_id uuid,
    assign_time timestamptz,
    start_time timestamptz,
    lease_until timestamptz,
    -- When nobody has begun in time, and when an attempt has taken too long.
    start_deadline timestamptz,
    close_deadline timestamptz,
    cancel_time timestamptz,
    cancel_reason text,
    rejected_by uuid[] not null default '{}',
    check ((state = 1) = (lease_until is null)),
    check (admission <> 3 or (hold_id is not null and hold_expire_time is not null))
) with (
    fillfactor = 45,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);

-- How a task ended, with its last attempt, until someone redrives it. Written once.
create table task_outcome (
    task_id uuid primary key,
    tenant_id uuid not null,
    from_state smallint not null,
    -- 6 COMPLETED, 7 FAILED, 8 CANCELLED, 9 TIMEOUT.
    state smallint not null,
    version integer not null,
    attempt integer not null,
    fence bigint not null,
    failures integer not null,
    lost_leases integer not null,
    agent_id uuid,
    hold_id uuid,
    ready_time timestamptz not null,
    assign_time timestamptz,
    start_time timestamptz,
    end_time timestamptz not null,
    -- How the last attempt ended; null when the task ended between attempts.
    attempt_end smallint check (attempt_end between 1 and 7),
    error_code text,
    error_message text,
    error_details jsonb,
    result jsonb,
    message text,
    usage jsonb,
    cancel_reason text,
    -- The lifecycle, with an implied start (ASSIGNED, ACCEPTED -> IN_PROGRESS) on the way, and
    -- REJECTED on the way from ASSIGNED to FAILED.
    constraint task_outcome_transition check (
        case from_state
            when 1 then state in (8, 9)
            when 2 then state in (6, 7, 8, 9)
            when 3 then state in (6, 7, 8, 9)
            when 5 then state in (6, 7, 8, 9)
            else false
        end
    )
);

-- Attempts that ended before the last one. Only added to.
create table attempt (
    task_id uuid not null,
    attempt integer not null,
    tenant_id uuid not null,
    fence bigint not null,
    agent_id uuid,
    attempt_end smallint not null check (attempt_end between 1 and 7),
    error_code text,
    error_message text,
    error_details jsonb,
    usage jsonb,
    assign_time timestamptz,
    start_time timestamptz,
    end_time timestamptz not null,
    -- What the agent was answered, for when it asks again: the task's state, and when it is ready.
    state_after smallint not null,
    ready_after timestamptz,
    primary key (task_id, attempt)
);

-- What the agent last reported of an attempt. The checkpoint outlives the attempt.
create table task_progress (
    task_id uuid primary key,
    tenant_id uuid not null,
    fence bigint not null,
    percent double precision not null check (percent between 0 and 100),
    message text not null,
    checkpoint jsonb,
    usage jsonb,
    report_time timestamptz not null
) with (fillfactor = 70);

-- Which task waits for which.
create table task_dependency (
    depends_on uuid not null,
    task_id uuid not null,
    tenant_id uuid not null,
    primary key (depends_on, task_id)
);

-- Request ids of creates, kept as long as their tasks.
create table task_request (
    tenant_id uuid not null,
    request_id text not null,
    task_id uuid not null,
    digest bytea not null,
    primary key (tenant_id, request_id)
);

-- The second wall of the lifecycle: what the code may never write, the database refuses. The
-- conditions are plain expressions, so a legal update does not call the function.
create function refuse_transition() returns trigger language plpgsql as $$
begin
    raise exception 'task % may not go from state % to %', old.task_id, old.state, new.state;
end $$;

create trigger task_run_transition before update on task_run
for each row when (
    new.fence < old.fence
    or new.task_id <> old.task_id
    or new.tenant_id <> old.tenant_id
    or (old.state <> new.state and not (
        case old.state
            -- By way of ASSIGNED.
            when 1 then new.state in (2, 5)
            when 2 then new.state in (1, 3, 5)
            when 3 then new.state in (1, 5)
            else new.state = 1
        end
    ))
) execute function refuse_transition();

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'rows of % are never changed', tg_table_name;
end $$;
create trigger task_immutable before update on task
for each row execute function refuse_change();
create trigger task_outcome_immutable before update on task_outcome
for each row execute function refuse_change();
create trigger attempt_immutable before update on attempt
for each row execute function refuse_change();

alter table task enable row level security;
alter table task force row level security;
create policy tenant on task
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table task_run enable row level security;
alter table task_run force row level security;
create policy tenant on task_run
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table task_outcome enable row level security;
alter table task_outcome force row level security;
create policy tenant on task_outcome
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table attempt enable row level security;
alter table attempt force row level security;
create policy tenant on attempt
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table task_progress enable row level security;
alter table task_progress force row level security;
create policy tenant on task_progress
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table task_dependency enable row level security;
alter table task_dependency force row level security;
create policy tenant on task_dependency
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table task_request enable row level security;
alter table task_request force row level security;
create policy tenant on task_request
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
