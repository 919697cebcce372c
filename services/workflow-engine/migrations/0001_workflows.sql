-- Definitions. A workflow is a name; its versions are immutable and numbered without gaps.
create table workflow (
    id uuid primary key,
    tenant_id uuid not null,
    name text not null,
    -- 0 only within the transaction that publishes version 1.
    latest_version integer not null check (latest_version >= 0),
    create_time timestamptz not null,
    unique (tenant_id, name)
);

create table workflow_version (
    workflow_id uuid not null references workflow (id),
    version integer not null check (version >= 1),
    tenant_id uuid not null,
    -- SHA-256 of the definition's canonical form: equal content has an equal digest.
    digest bytea not null check (length(digest) = 32),
    definition jsonb not null,
    created_by text not null,
    create_time timestamptz not null,
    primary key (workflow_id, version)
);

-- Which version each request_id came to, also where the content was the newest version's already:
-- whatever is published later, a repeat must find the same.
create table workflow_request (
    tenant_id uuid not null,
    request_id text not null,
    workflow_id uuid not null,
    version integer not null,
    primary key (tenant_id, request_id),
    foreign key (workflow_id, version) references workflow_version (workflow_id, version)
);

alter table workflow enable row level security;
alter table workflow force row level security;
create policy tenant on workflow
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table workflow_version enable row level security;
alter table workflow_version force row level security;
create policy tenant on workflow_version
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table workflow_request enable row level security;
alter table workflow_request force row level security;
create policy tenant on workflow_request
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- A published version never changes and never goes away: executions refer to it.
revoke update, delete on workflow_version, workflow_request from workflow_engine_app;
