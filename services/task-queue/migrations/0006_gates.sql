-- What tasks wait behind until a person answers, and effects of types.
--
-- That a task waits is a part of its run: every scan for ready tasks reads the run and nothing else.
-- No index covers it, so opening and closing a gate stays within its page (HOT). What is asked and
-- answered is a row of its own here, written with it. There are few of them, and they are as old as
-- people are slow, so these have indexes.

-- The kind of the open gate, 0 for none; how many gates there ever were; when the open one expires.
alter table task_run
    add column gate smallint not null default 0 check (gate between 0 and 4),
    add column gates smallint not null default 0,
    add column gate_deadline timestamptz,
    add constraint task_run_gate check (
        gate = 0 or (state = 1 and blocked_by = 0 and start_deadline is null)
    );

create table task_gate (
    id uuid primary key,
    tenant_id uuid not null,
    task_id uuid not null,
    -- Copies, for filters.
    queue text not null,
    type text not null,
    -- 1 INPUT, 2 APPROVAL, 3 LOST_LEASE, 4 TIMEOUT.
    kind smallint not null check (kind between 1 and 4),
    -- 1 OPEN, 2 ANSWERED, 3 EXPIRED, 4 CANCELLED.
    state smallint not null check (state between 1 and 4),
    prompt text not null,
    answer_schema jsonb,
    content_digest text not null,
    expire_time timestamptz,
    -- 1 FAIL, 2 PROCEED.
    expiry smallint check (expiry between 1 and 2),
    attempt integer not null,
    -- Of the attempt that ended with it: its token finds the gate again.
    fence bigint not null,
    agent_id uuid,
    opener_kind smallint not null,
    opener_subject text not null,
    opener_name text not null,
    create_time timestamptz not null,
    -- What was answered, and by which request.
    input jsonb,
    decision smallint check (decision between 1 and 6),
    comment text,
    answer_digest bytea,
    request_id text,
    answerer_kind smallint,
    answerer_subject text,
    answerer_name text,
    close_time timestamptz,
    check ((expire_time is null) = (expiry is null)),
    check ((state = 1) = (close_time is null)),
    check ((state = 2) = (answer_digest is not null)),
    check ((state = 2) = (answerer_subject is not null)),
    check (state <> 2 or (input is null) <> (decision is null))
);
create index task_gate_of_task on task_gate (task_id, id);
create index task_gate_open on task_gate (tenant_id, id) where state = 1;
-- One at a time for each task.
create unique index task_gate_one on task_gate (task_id) where state = 1;

-- A closed gate never changes, and of an open one only how it closes.
create trigger task_gate_closed before update on task_gate
for each row when (
    old.state <> 1
    or (new.id, new.tenant_id, new.task_id, new.kind, new.prompt, new.attempt, new.fence)
        is distinct from
        (old.id, old.tenant_id, old.task_id, old.kind, old.prompt, old.attempt, old.fence)
) execute function refuse_change();

alter table task_gate enable row level security;
alter table task_gate force row level security;
create policy tenant on task_gate
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- 8 SUSPENDED. What is there satisfies the narrower rules of before, so nobody has to look at it.
alter table attempt
    drop constraint attempt_attempt_end_check,
    add constraint attempt_attempt_end_check check (attempt_end between 1 and 8) not valid;

-- Whoever answers a gate may finish the task from PENDING, by way of ASSIGNED and IN_PROGRESS; an
-- outcome without such a gate may not come from there.
alter table task_outcome
    add column gate_id uuid,
    drop constraint task_outcome_transition,
    add constraint task_outcome_transition check (
        case from_state
            when 1 then state in (8, 9) or (gate_id is not null and state in (6, 7))
            when 2 then state in (6, 7, 8, 9)
            when 3 then state in (6, 7, 8, 9)
            when 5 then state in (6, 7, 8, 9)
            else false
        end
    ) not valid;

-- 1 READ_ONLY, 2 IDEMPOTENT, 3 EFFECTFUL; null where tasks of the type are what their spec says.
alter table task_type add column effect smallint check (effect between 1 and 3);
