-- Incidents, their timelines and what belongs to them.
create table incident (
    id uuid primary key,
    tenant_id uuid not null,
    version bigint not null check (version > 0),
    project_id text not null,
    title text not null,
    description text not null,
    severity text not null check (severity in ('CRITICAL', 'HIGH', 'MEDIUM', 'LOW')),
    priority text not null check (priority in ('P1', 'P2', 'P3', 'P4')),
    status text not null,
    category text not null,
    source text not null,
    assignee text not null,
    labels jsonb not null,
    resolution jsonb,
    rule_id uuid,
    incident_key bytea check (octet_length(incident_key) = 32),
    signal_count bigint not null check (signal_count >= 0),
    last_signal_time timestamptz,
    related uuid[] not null,
    close_reason text check (close_reason in ('COMPLETED', 'DUPLICATE', 'FALSE_POSITIVE')),
    duplicate_of uuid references incident (id),
    round integer not null check (round > 0),
    -- Seconds that the priority allows, as it was when the priority was set.
    response_target_seconds bigint not null check (response_target_seconds >= 0),
    round_start_time timestamptz not null,
    due_time timestamptz not null,
    breach_record_time timestamptz,
    detect_time timestamptz not null,
    acknowledge_time timestamptz,
    acknowledged_by text not null,
    mitigate_time timestamptz,
    resolve_time timestamptz,
    close_time timestamptz,
    reopen_time timestamptz,
    create_time timestamptz not null,
    update_time timestamptz not null,
    created_by text not null,
    timeline_count bigint not null,
    timeline_hash bytea not null check (octet_length(timeline_hash) = 32),
    -- Time does not run backwards within a round.
    constraint acknowledged_after_start check (acknowledge_time >= round_start_time),
    constraint mitigated_after_start check (mitigate_time >= round_start_time),
    constraint resolved_after_mitigated check (resolve_time >= coalesce(mitigate_time, round_start_time)),
    constraint closed_after_resolved check (close_time >= coalesce(resolve_time, round_start_time)),
    constraint resolved_has_resolution check (status <> 'RESOLVED' or resolution is not null),
    constraint closed_has_reason check ((status = 'CLOSED') = (close_reason is not null)),
    constraint duplicate_has_original
        check ((duplicate_of is not null) = (close_reason is not distinct from 'DUPLICATE')),
    constraint not_its_own_duplicate check (duplicate_of <> id)
);

-- The same trouble twice is one incident: an open incident is alone with its key. Two replicas
-- that see the first signal at once both try to insert, and one of them is refused and looks again.
-- The index covers only open incidents of rules, so it stays as small as the list of open ones. It
-- does cover a column that changes (status), which elsewhere would be a mistake: incidents change a
-- handful of times in their life, unlike tasks.
create unique index incident_open_key on incident (tenant_id, incident_key)
    where status not in ('RESOLVED', 'CLOSED');
create index incident_by_time on incident (tenant_id, id);
create index incident_by_key on incident (tenant_id, incident_key, id) where incident_key is not null;
-- What the response clock's loop looks for.
create index incident_unanswered on incident (due_time)
    where acknowledge_time is null and breach_record_time is null
        and status not in ('RESOLVED', 'CLOSED');

alter table incident enable row level security;
alter table incident force row level security;
create policy tenant on incident
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
revoke delete, truncate on incident from incident_app;

-- The lifecycle, a second time: whatever code runs, an illegal change of status is refused. A test
-- compares this table with the one in domain/status.rs.
create table incident_transition (
    from_status text not null,
    to_status text not null,
    primary key (from_status, to_status)
);
insert into incident_transition (from_status, to_status) values
    ('DETECTED', 'ACKNOWLEDGED'), ('DETECTED', 'INVESTIGATING'), ('DETECTED', 'RESOLVED'),
    ('DETECTED', 'CLOSED'),
    ('ACKNOWLEDGED', 'INVESTIGATING'), ('ACKNOWLEDGED', 'MITIGATING'), ('ACKNOWLEDGED', 'RESOLVED'),
    ('ACKNOWLEDGED', 'CLOSED'), ('ACKNOWLEDGED', 'DETECTED'),
    ('INVESTIGATING', 'MITIGATING'), ('INVESTIGATING', 'MITIGATED'), ('INVESTIGATING', 'RESOLVED'),
    ('INVESTIGATING', 'CLOSED'), ('INVESTIGATING', 'DETECTED'),
    ('MITIGATING', 'MITIGATED'), ('MITIGATING', 'INVESTIGATING'), ('MITIGATING', 'RESOLVED'),
    ('MITIGATED', 'RESOLVED'), ('MITIGATED', 'INVESTIGATING'), ('MITIGATED', 'MITIGATING'),
    ('RESOLVED', 'CLOSED'), ('RESOLVED', 'INVESTIGATING'),
    ('CLOSED', 'INVESTIGATING');
revoke insert, update, delete, truncate on incident_transition from incident_app;

create function check_incident_transition() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        if new.status <> 'DETECTED' then
            raise exception 'an incident begins in DETECTED, not in %', new.status;
        end if;
    elsif new.status <> old.status and not exists (
        select from incident_transition
        where from_status = old.status and to_status = new.status
    ) then
        raise exception 'incident % cannot go from % to %', old.id, old.status, new.status;
    end if;
    return new;
end $$;
create trigger transition before insert or update of status on incident
    for each row execute function check_incident_transition();

-- The timeline: appended and chained, never changed.
create table incident_event (
    incident_id uuid not null references incident (id),
    sequence bigint not null check (sequence > 0),
    tenant_id uuid not null,
    type text not null,
    create_time timestamptz not null,
    actor_kind text not null,
    actor_subject text not null,
    actor_name text not null,
    summary text not null,
    details jsonb not null,
    previous_hash bytea not null check (octet_length(previous_hash) = 32),
    hash bytea not null check (octet_length(hash) = 32),
    primary key (incident_id, sequence)
);
alter table incident_event enable row level security;
alter table incident_event force row level security;
create policy tenant on incident_event
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
revoke update, delete, truncate on incident_event from incident_app;
create trigger append_only before update or delete on incident_event
    for each row execute function refuse_change();
create trigger append_only_truncate before truncate on incident_event
    for each statement execute function refuse_change();

-- Impacts, actions and communications. They are read with their incident, written under its row
-- lock and never searched, so one table with a document each is enough.
create table incident_part (
    id uuid primary key,
    incident_id uuid not null references incident (id),
    tenant_id uuid not null,
    kind text not null check (kind in ('IMPACT', 'ACTION', 'COMMUNICATION')),
    body jsonb not null
);
create index incident_part_of on incident_part (incident_id, kind, id);
alter table incident_part enable row level security;
alter table incident_part force row level security;
create policy tenant on incident_part
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
revoke delete, truncate on incident_part from incident_app;

-- What a client's request_id has made, and the digest of the request, so that a repetition with
-- another body is refused.
create table request (
    tenant_id uuid not null,
    method text not null,
    request_id text not null,
    digest bytea not null check (octet_length(digest) = 32),
    resource_id uuid not null,
    create_time timestamptz not null,
    primary key (tenant_id, method, request_id)
);
alter table request enable row level security;
alter table request force row level security;
create policy tenant on request
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
revoke update, delete, truncate on request from incident_app;
