-- Executions: state rows are the truth, the history is the evidence. Both are written in one
-- transaction under the lock of the execution's row, so whoever holds that lock sees a whole state.

create table execution (
    id uuid primary key,
    tenant_id uuid not null,
    workflow_id uuid not null,
    workflow_version integer not null,
    workflow_name text not null,
    state text not null check (state in
        ('PENDING', 'RUNNING', 'PAUSED', 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMEOUT')),
    -- The end that it is heading for while its tasks are being stopped, with the reason.
    stopping jsonb,
    input jsonb not null,
    context jsonb not null,
    labels jsonb not null,
    initiated_by text not null,
    project_id uuid,
    budget_id uuid,
    priority text not null check (priority in ('LOW', 'NORMAL', 'HIGH', 'CRITICAL')),
    traceparent text not null,
    output jsonb,
    error jsonb,
    -- The client's request_id, and the digest of the request that it came with.
    request_id text,
    request_digest bytea not null,
    -- Tip of the history's chain.
    last_sequence bigint not null default 0,
    last_hash bytea not null check (length(last_hash) = 32),
    create_time timestamptz not null,
    start_time timestamptz,
    end_time timestamptz,
    deadline_time timestamptz,
    update_time timestamptz not null,
    foreign key (workflow_id, workflow_version) references workflow_version (workflow_id, version),
    check ((end_time is not null) = (state in ('COMPLETED', 'FAILED', 'CANCELLED', 'TIMEOUT')))
) with (fillfactor = 80);
create unique index execution_request on execution (tenant_id, request_id)
    where request_id is not null;
-- Ids are UUIDv7, so this is newest first by creation.
create index execution_by_tenant on execution (tenant_id, id desc);
create index execution_by_workflow on execution (workflow_id, id desc);
create index execution_by_label on execution using gin (labels jsonb_path_ops);

-- One row for each step of the workflow, from the start.
create table step_run (
    execution_id uuid not null references execution (id) on delete cascade,
    step_id text not null,
    tenant_id uuid not null,
    -- Place in the definition.
    position integer not null,
    state text not null check (state in
        ('PENDING', 'DISPATCHED', 'RUNNING', 'WAITING_RETRY', 'WAITING_APPROVAL', 'CANCELLING',
         'COMPLETED', 'FAILED', 'SKIPPED', 'CANCELLED')),
    attempt integer not null,
    agent_id text not null,
    produced_by jsonb not null,
    error jsonb,
    note text not null,
    output jsonb,
    approval_id uuid,
    approved_digest text,
    start_time timestamptz,
    end_time timestamptz,
    retry_time timestamptz,
    primary key (execution_id, step_id)
) with (fillfactor = 70);

-- Which task an attempt became. The relay that created the task and the consumer that hears of it
-- first may both add the row, in any order; news of any other task is not the step's.
create table dispatch (
    execution_id uuid not null references execution (id) on delete cascade,
    step_id text not null,
    attempt integer not null,
    tenant_id uuid not null,
    task_id uuid not null,
    create_time timestamptz not null default now(),
    primary key (execution_id, step_id, attempt)
);

-- What happened: append-only, each row with the hash of the one before.
create table history (
    execution_id uuid not null references execution (id) on delete cascade,
    sequence bigint not null,
    tenant_id uuid not null,
    type text not null,
    step_id text not null,
    attempt integer not null,
    actor_kind text not null,
    actor_subject text not null,
    actor_name text not null,
    data jsonb not null,
    occur_time timestamptz not null,
    previous_hash bytea not null check (length(previous_hash) = 32),
    hash bytea not null check (length(hash) = 32),
    primary key (execution_id, sequence)
);
revoke update, delete on history from workflow_engine_app;

-- What will happen by itself. One timer of each kind for each step, and for the execution (step '').
create table timer (
    execution_id uuid not null references execution (id) on delete cascade,
    step_id text not null,
    kind text not null check (kind in ('RETRY', 'STEP_TIMEOUT', 'DEADLINE', 'GRACE')),
    tenant_id uuid not null,
    attempt integer not null,
    fire_time timestamptz not null,
    primary key (execution_id, step_id, kind)
);
create index timer_due on timer (fire_time);

-- What task-queue is yet to be asked, in the order of ids. A relay claims rows by moving next_time
-- ahead, asks, and deletes them; a relay that dies leaves them to be claimed again, which is harmless
-- because each request names its execution, step and attempt.
create table command (
    id bigint generated always as identity primary key,
    tenant_id uuid not null,
    execution_id uuid not null references execution (id) on delete cascade,
    step_id text not null,
    attempt integer not null,
    kind text not null check (kind in ('CREATE_TASK', 'CANCEL_TASK')),
    body jsonb not null,
    tries integer not null default 0,
    next_time timestamptz not null,
    unique (execution_id, step_id, attempt, kind)
);
create index command_due on command (next_time);

-- News of tasks that could not be applied, not even by failing their execution: for people to look
-- at. Without a foreign key, since whatever is wrong may be wrong with that row.
create table dead_news (
    id bigint generated always as identity primary key,
    tenant_id uuid not null,
    execution_id uuid not null,
    step_id text not null,
    attempt integer not null,
    -- Of the event in task-queue's log.
    sequence bigint not null,
    cause text not null,
    create_time timestamptz not null default now()
);

create table approval (
    id uuid primary key,
    tenant_id uuid not null,
    execution_id uuid not null references execution (id) on delete cascade,
    step_id text not null,
    state text not null check (state in
        ('PENDING', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED')),
    title text not null,
    description text not null,
    -- The artifact and its SHA-256: what is approved is exactly this.
    subject jsonb not null,
    subject_digest text not null check (subject_digest ~ '^[0-9a-f]{64}$'),
    -- Principals that may not decide, because they produced it.
    producers text[] not null,
    forbid_initiator boolean not null,
    allow_agents boolean not null,
    decided_by text not null default '',
    decided_by_name text not null default '',
    comment text not null default '',
    create_time timestamptz not null,
    decide_time timestamptz,
    expire_time timestamptz not null,
    unique (execution_id, step_id),
    check ((decide_time is null) = (state = 'PENDING')),
    -- Nobody approves what they produced, whatever the code says.
    check (state <> 'APPROVED' or (decided_by <> '' and not decided_by = any (producers)))
);
create index approval_by_tenant on approval (tenant_id, id desc);

do $$
declare
    name text;
begin
    foreach name in array array
        ['execution', 'step_run', 'dispatch', 'history', 'timer', 'command', 'dead_news', 'approval']
    loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format('create policy tenant on %I using (tenant_visible(tenant_id))
                        with check (tenant_visible(tenant_id))', name);
    end loop;
end $$;

-- The lifecycles, a second time: a change that the domain's tables do not have is refused here too.
create function refuse_illegal_change() returns trigger language plpgsql as $$
declare
    legal text[] := tg_argv[0]::text[];
begin
    if old.state <> new.state and not (old.state || '>' || new.state) = any (legal) then
        raise exception '% cannot go from % to %', tg_table_name, old.state, new.state;
    end if;
    return new;
end $$;

create trigger legal_change before update of state on execution for each row
    execute function refuse_illegal_change('{PENDING>RUNNING,
        PENDING>COMPLETED, PENDING>FAILED,
        RUNNING>PAUSED, RUNNING>COMPLETED, RUNNING>FAILED, RUNNING>CANCELLED, RUNNING>TIMEOUT,
        PAUSED>RUNNING, PAUSED>CANCELLED, PAUSED>TIMEOUT,
        PAUSED>COMPLETED, PAUSED>FAILED}');

-- Several changes of one transaction are written as one, so this table is the domain's closure: an
-- attempt may be dispatched and a retry due between two writes, but nothing leaves an end.
create function refuse_second_end() returns trigger language plpgsql as $$
begin
    if old.state in ('COMPLETED', 'FAILED', 'SKIPPED', 'CANCELLED') and old.state <> new.state then
        raise exception 'step % has ended as % and cannot become %', old.step_id, old.state, new.state;
    end if;
    if new.attempt < old.attempt then
        raise exception 'step % cannot go back to attempt %', old.step_id, new.attempt;
    end if;
    return new;
end $$;
create trigger one_end before update on step_run for each row execute function refuse_second_end();

create trigger legal_change before update of state on approval for each row
    execute function refuse_illegal_change(
        '{PENDING>APPROVED, PENDING>REJECTED, PENDING>EXPIRED, PENDING>CANCELLED}');

-- Every execution that has not ended must have something that will wake it: a task, a timer, a
-- person, a command. A row here is a bug, and tests assert that there is none. A paused execution
-- waits for the caller who paused it.
create view execution_without_wake_source with (security_invoker = true) as
select execution.tenant_id, execution.id, execution.state, execution.update_time
from execution
where (
        execution.state in ('PENDING', 'RUNNING')
        or (execution.state = 'PAUSED' and execution.stopping is not null)
    )
    and (
        -- Nothing at all will happen …
        not (
            exists (select from command where command.execution_id = execution.id)
            -- The deadline ends an execution, but does not make it go on.
            or exists (
                select from timer
                where timer.execution_id = execution.id and timer.kind <> 'DEADLINE'
            )
            or exists (
                select from approval
                where approval.execution_id = execution.id and approval.state = 'PENDING'
            )
            or exists (
                select from step_run join dispatch using (execution_id, step_id, attempt)
                where step_run.execution_id = execution.id
                    and step_run.state in ('DISPATCHED', 'RUNNING', 'CANCELLING')
            )
        )
        -- … or a step waits for a task that neither exists nor will be asked for.
        or exists (
            select from step_run
            where step_run.execution_id = execution.id
                and step_run.state in ('DISPATCHED', 'RUNNING')
                and not exists (
                    select from dispatch
                    where dispatch.execution_id = step_run.execution_id
                        and dispatch.step_id = step_run.step_id
                        and dispatch.attempt = step_run.attempt
                )
                and not exists (
                    select from command
                    where command.execution_id = step_run.execution_id
                        and command.step_id = step_run.step_id
                        and command.attempt = step_run.attempt
                        and command.kind = 'CREATE_TASK'
                )
        )
    );
