-- Agents and their status machine.

-- The machine, as data. domain/state.rs says the same, and a test compares the two.
create table agent_transition (
    from_state text not null,
    to_state   text not null,
    primary key (from_state, to_state)
);
insert into agent_transition (from_state, to_state) values
    ('OFFLINE', 'STARTING'),
    ('STARTING', 'ACTIVE'), ('STARTING', 'ERROR'),
    ('ACTIVE', 'DRAINING'), ('ACTIVE', 'MAINTENANCE'), ('ACTIVE', 'ERROR'), ('ACTIVE', 'STOPPING'),
    ('DRAINING', 'INACTIVE'), ('DRAINING', 'ERROR'),
    ('INACTIVE', 'ACTIVE'), ('INACTIVE', 'MAINTENANCE'), ('INACTIVE', 'STOPPING'),
    ('MAINTENANCE', 'ACTIVE'), ('MAINTENANCE', 'INACTIVE'), ('MAINTENANCE', 'STOPPING'),
    ('ERROR', 'STOPPING'), ('ERROR', 'MAINTENANCE'),
    ('STOPPING', 'OFFLINE');
-- The service reads the machine and cannot change it.
revoke insert, update, delete on agent_transition from agent_registry_app;

create table agent (
    id                   uuid        primary key,
    tenant_id            uuid        not null references tenant (id),
    name                 text        not null,
    type                 text        not null,
    model_id             text        not null,
    state                text        not null,
    state_reason         text        not null,
    capabilities         jsonb       not null check (jsonb_typeof(capabilities) = 'array'),
    max_concurrent_tasks integer     not null check (max_concurrent_tasks between 1 and 10000),
    labels               jsonb       not null check (jsonb_typeof(labels) = 'object'),
    metadata             jsonb       not null check (jsonb_typeof(metadata) = 'object'),
    epoch                bigint      not null check (epoch >= 0),
    version              bigint      not null check (version >= 1),
    registered_by        text        not null,
    create_time          timestamptz not null,
    update_time          timestamptz not null,
    register_time        timestamptz not null,
    transition_time      timestamptz not null,
    constraint agent_name_unique unique (tenant_id, name)
);
alter table agent enable row level security;
alter table agent force row level security;
create policy tenant on agent
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- The list goes by id within a tenant.
create index agent_by_tenant on agent (tenant_id, id);

-- The lapse loop looks for agents that owe heartbeats; most agents that exist do not change state
-- for hours, so this index is small and quiet.
create index agent_owing_heartbeats on agent (id)
    where state in ('STARTING', 'ACTIVE', 'DRAINING', 'STOPPING');

-- Whatever statement changes the state, the machine holds; and no epoch or version goes back. The
-- search_path is fixed, so that it holds for whoever changes the row, from wherever.
create function agent_guard() returns trigger
language plpgsql set search_path from current as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> 'OFFLINE' then
            raise exception 'a new agent is OFFLINE, not %', new.state;
        end if;
        return new;
    end if;
    if new.state <> old.state and not exists (
        select from agent_transition t where t.from_state = old.state and t.to_state = new.state
    ) then
        raise exception 'agent % cannot go from % to %', old.id, old.state, new.state;
    end if;
    if new.epoch < old.epoch or new.version <= old.version then
        raise exception 'agent % cannot go back in epoch or version', old.id;
    end if;
    return new;
end $$;
create trigger agent_guard before insert or update on agent
    for each row execute function agent_guard();

-- An agent leaves only when it is OFFLINE.
create function agent_delete_guard() returns trigger
language plpgsql set search_path from current as $$
begin
    if old.state <> 'OFFLINE' then
        raise exception 'agent % is %, not OFFLINE', old.id, old.state;
    end if;
    return old;
end $$;
create trigger agent_delete_guard before delete on agent
    for each row execute function agent_delete_guard();

-- What heartbeats say, written in batches and apart from the agent, so that they do not grow its
-- rows. The first report of an agent shares a key lock on it, which the changes of an agent, being
-- FOR NO KEY UPDATE, do not wait for. Load and checks have times of their own, since a heartbeat may
-- leave them out and another replica may have heard newer ones. No column but the key is indexed: every update stays on its page.
create table agent_status (
    agent_id            uuid        primary key references agent (id) on delete cascade,
    tenant_id           uuid        not null,
    epoch               bigint      not null,
    last_heartbeat_time timestamptz not null,
    workload            jsonb,
    workload_time       timestamptz,
    health_checks       jsonb,
    health_checks_time  timestamptz,
    check ((workload is null) = (workload_time is null)),
    check ((health_checks is null) = (health_checks_time is null))
) with (fillfactor = 70);
alter table agent_status enable row level security;
alter table agent_status force row level security;
create policy tenant on agent_status
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
