-- Tenants and their credentials.

-- A tenant is a customer of this installation. Its own id is its tenant scope.
create table tenant (
    id          uuid        primary key,
    name        text        not null unique check (name ~ '^[a-z][a-z0-9-]{0,62}$'),
    create_time timestamptz not null
);
alter table tenant enable row level security;
alter table tenant force row level security;
create policy tenant on tenant using (tenant_visible(id)) with check (tenant_visible(id));

-- API keys. The secret is never here: secret_hash is an HMAC of it under a pepper that only the
-- service's configuration holds, so a stolen table opens nothing.
create table api_key (
    id            uuid        primary key,
    tenant_id     uuid        not null references tenant (id),
    name          text        not null,
    kind          text        not null check (kind in ('USER', 'AGENT')),
    permissions   text[]      not null,
    secret_hash   bytea       not null check (octet_length(secret_hash) = 32),
    created_by    text        not null,
    create_time   timestamptz not null,
    expire_time   timestamptz,
    revoke_time   timestamptz,
    last_use_time timestamptz
);
alter table api_key enable row level security;
alter table api_key force row level security;
create policy tenant on api_key
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- A revoked key gives its name free, so that a key can be replaced under the same name.
create unique index api_key_name_in_use on api_key (tenant_id, name) where revoke_time is null;

-- The list goes by id within a tenant.
create index api_key_by_tenant on api_key (tenant_id, id);

-- Nothing un-revokes a key, and nothing changes what it grants.
create function api_key_guard() returns trigger
language plpgsql set search_path from current as $$
begin
    if old.revoke_time is not null and new.revoke_time is distinct from old.revoke_time then
        raise exception 'api key % is revoked for good', old.id;
    end if;
    if new.tenant_id <> old.tenant_id or new.permissions <> old.permissions
        or new.kind <> old.kind then
        raise exception 'api key % cannot change what it grants', old.id;
    end if;
    return new;
end $$;
create trigger api_key_guard before update on api_key
    for each row execute function api_key_guard();

-- What a request_id was used for, for 24 hours: the digest of the body that it came with, and what
-- was answered. A second request with the same id waits on the primary key for the first to commit.
create table request_record (
    tenant_id   uuid        not null,
    method      text        not null,
    request_id  text        not null,
    body_digest bytea       not null,
    resource_id uuid        not null,
    epoch       bigint      not null,
    create_time timestamptz not null,
    primary key (tenant_id, method, request_id)
);
alter table request_record enable row level security;
alter table request_record force row level security;
create policy tenant on request_record
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
create index request_record_by_age on request_record (create_time);
