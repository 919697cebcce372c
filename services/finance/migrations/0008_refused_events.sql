-- Events of the task queue that could not be applied, whole, with the reason. The cursor has passed
-- them, so that one tenant's numbers do not stop every other's. Nothing reads them but people.
create table refused_event (
    sequence    bigint      not null,
    tenant_id   uuid        not null,
    -- The event's message, encoded.
    event       bytea       not null,
    error       text        not null,
    create_time timestamptz not null
);
alter table refused_event enable row level security;
alter table refused_event force row level security;
create policy tenant on refused_event
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
create index refused_event_by_tenant on refused_event (tenant_id, create_time desc);
revoke update, delete on refused_event from finance_app;
