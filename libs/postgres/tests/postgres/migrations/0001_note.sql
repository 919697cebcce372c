-- A table as services have them, for the tests of this crate.
create table note (
    id uuid primary key,
    tenant_id uuid not null,
    text text not null check (text <> ''),
    constraint note_text_once unique (tenant_id, text)
);
alter table note enable row level security;
alter table note force row level security;
create policy tenant on note using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
