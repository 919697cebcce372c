-- The hands through which tasks go.
--
-- A task that is handed on is ASSIGNED to its new agent at once, with a new fence that nobody knows
-- yet: it is offered. The agent's next pull makes the offer a lease. So a crash between any two steps
-- leaves an offer, which lapses as a lease does, or none.

-- One row for each hand-over, in the order of the chain. Only added to, and closed.
create table task_delegation (
    id uuid primary key,
    tenant_id uuid not null,
    task_id uuid not null,
    -- Place in the chain of the task, from 1.
    position integer not null check (position > 0),
    -- The delivery that ended with it, and the fence by which its holder may ask again.
    attempt integer not null,
    from_fence bigint not null,
    from_agent_id uuid not null,
    to_agent_id uuid not null check (to_agent_id <> from_agent_id),
    -- 1 MANUAL, 2 AUTOMATIC, 3 FAILOVER, 4 LOAD_BALANCE.
    type smallint not null check (type between 1 and 4),
    reason text not null,
    metadata jsonb,
    actor_kind smallint not null,
    actor_subject text not null,
    actor_name text not null,
    -- Of an operator's call; the holder's is known by its fence.
    by_operator boolean not null,
    request_id text,
    digest bytea check ((digest is null) = (request_id is null)),
    delegate_time timestamptz not null,
    offer_until timestamptz not null,
    -- 1 OFFERED, 2 TAKEN, 3 EXPIRED, 4 REJECTED, 5 CANCELLED.
    outcome smallint not null check (outcome between 1 and 5),
    outcome_time timestamptz check ((outcome_time is null) = (outcome = 1))
);
create unique index task_delegation_chain on task_delegation (task_id, position);
create unique index task_delegation_request on task_delegation (tenant_id, request_id)
    where request_id is not null;
-- Newest first within a tenant; ids are UUIDv7.
create unique index task_delegation_by_tenant on task_delegation (tenant_id, id desc);
-- What agents have not fetched yet: a handful at any time.
create index task_delegation_offered on task_delegation (tenant_id, to_agent_id, id)
    where outcome = 1;

create trigger task_delegation_transition before update on task_delegation
for each row when (
    (
        old.id, old.tenant_id, old.task_id, old.position, old.attempt, old.from_fence,
        old.from_agent_id, old.to_agent_id, old.type, old.reason, old.metadata, old.actor_kind,
        old.actor_subject, old.actor_name, old.by_operator, old.request_id, old.digest,
        old.delegate_time, old.offer_until
    ) is distinct from (
        new.id, new.tenant_id, new.task_id, new.position, new.attempt, new.from_fence,
        new.from_agent_id, new.to_agent_id, new.type, new.reason, new.metadata, new.actor_kind,
        new.actor_subject, new.actor_name, new.by_operator, new.request_id, new.digest,
        new.delegate_time, new.offer_until
    )
    or not (
        case old.outcome
            when 1 then new.outcome in (2, 3, 5)
            when 2 then new.outcome = 4
            else false
        end
    )
) execute function refuse_change();

alter table task_delegation enable row level security;
alter table task_delegation force row level security;
create policy tenant on task_delegation
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

alter table task_run
    -- The delegation under which its agent has it, or is to have it.
    add column delegation_id uuid,
    -- Whether its agent has not fetched it yet: nobody knows the fence.
    add column offered boolean not null default false,
    -- Links of the chain since it was created or redriven.
    add column delegations smallint not null default 0,
    add constraint task_run_offered check (not offered or (state = 2 and delegation_id is not null));

-- 9 DELEGATED.
alter table attempt
    drop constraint if exists attempt_attempt_end_check,
    add constraint attempt_attempt_end_check check (attempt_end between 1 and 9);

-- With the ways back to ASSIGNED, which always have another fence.
drop trigger task_run_transition on task_run;
create trigger task_run_transition before update on task_run
for each row when (
    new.fence < old.fence
    or new.task_id <> old.task_id
    or new.tenant_id <> old.tenant_id
    or (new.offered and not old.offered and new.fence = old.fence)
    or (old.state <> new.state and not (
        case old.state
            -- By way of ASSIGNED.
            when 1 then new.state in (2, 5)
            when 2 then new.state in (1, 3, 5)
            when 3 then new.state in (1, 5) or (new.state = 2 and new.offered)
            else new.state = 1 or (new.state = 2 and new.offered)
        end
    ))
) execute function refuse_transition();
