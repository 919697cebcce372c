-- Definitions. A workflow is a name; its versions are immutable and numbered without gaps.
create table workflow (
    id uuid primary key,
    tenant_id uuid not null,
    name text not null,
    latest_version integer not null check (latest_version >= 1),
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
    -- The client's request_id of the publication; null when it sent none.
    request_id text,
    create_time timestamptz not null,
    primary key (workflow_id, version)
);
create unique index workflow_version_request on workflow_version (tenant_id, request_id)
    where request_id is not null;

alter table workflow enable row level security;
alter table workflow force row level security;
create policy tenant on workflow
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table workflow_version enable row level security;
alter table workflow_version force row level security;
create policy tenant on workflow_version
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- A published version never changes and never goes away: executions refer to it.
revoke update, delete on workflow_version from workflow_engine_app;
