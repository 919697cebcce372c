-- What a client's request_id did, so that a repeat does nothing and answers the same. The first
-- statement of an operation inserts the row; a concurrent repeat waits on it for the first to end.
create table request_record (
    tenant_id   uuid        not null,
    method      text        not null,
    request_id  text        not null check (char_length(request_id) between 1 and 128),
    body_sha256 bytea       not null,
    resource_id uuid        not null,
    create_time timestamptz not null,
    primary key (tenant_id, method, request_id)
);
alter table request_record enable row level security;
alter table request_record force row level security;
create policy tenant on request_record
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
-- What the cleaning loop looks at: records are kept for seven days.
create index request_record_by_age on request_record (create_time);
