-- What tasks make and keep elsewhere, and request ids that are free again after a time.

-- References that attempts reported with their end. Only added to.
create table task_artifact (
    task_id uuid not null,
    attempt integer not null,
    position integer not null,
    tenant_id uuid not null,
    name text not null,
    uri text not null,
    media_type text not null,
    size_bytes bigint not null check (size_bytes >= 0),
    sha256 text not null,
    create_time timestamptz not null,
    primary key (task_id, attempt, position)
);

create trigger task_artifact_immutable before update on task_artifact
for each row execute function refuse_change();

alter table task_artifact enable row level security;
alter table task_artifact force row level security;
create policy tenant on task_artifact
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- From then on the request id may be claimed anew; null for never.
alter table task_request add column expire_time timestamptz;
