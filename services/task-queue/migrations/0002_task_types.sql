-- Task types of tenants. Those that are built in are a part of the program and have no rows.
--
-- A row is small in number (200 for a tenant) and read as a whole into the memory of each replica, so
-- that creating a task reads nothing here. Whoever changes one wakes the other replicas after the
-- commit; a crash in between costs nothing but the time until they look by themselves.
create table task_type (
    id uuid primary key,
    tenant_id uuid not null,
    -- Ordered by the codes of its characters, as the built-in ones are that lists put between.
    name text collate "C" not null,
    -- 1 PROJECT_MANAGEMENT, 2 DEVELOPMENT, 3 FINANCE, 4 QUALITY_ASSURANCE, 5 DEVOPS, 6 SECURITY,
    -- 7 AGENT_MANAGEMENT, 8 OTHER.
    category smallint not null check (category between 1 and 8),
    description text not null,
    capability text not null,
    -- Longest attempt; null for no bound.
    close_ms bigint,
    -- JSON Schema; null where all parameters are taken.
    parameters_schema jsonb,
    version integer not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    -- The create that made it, kept as long as the type.
    request_id text,
    request_digest bytea,
    check ((request_id is null) = (request_digest is null))
);
create unique index task_type_name on task_type (tenant_id, name);
create unique index task_type_request on task_type (tenant_id, request_id)
    where request_id is not null;

alter table task_type enable row level security;
alter table task_type force row level security;
create policy tenant on task_type
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
