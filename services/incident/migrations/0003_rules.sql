-- Rules, and the two layers below incidents that they make: signals (an event that a rule looked
-- for) and alerts (signals with the same fingerprint). The layers are never merged, so that
-- applying the rules to the same events again gives the same.
create table rule (
    id uuid primary key,
    tenant_id uuid not null,
    version bigint not null check (version > 0),
    name text not null,
    description text not null,
    enabled boolean not null,
    event_types text[] not null check (cardinality(event_types) > 0),
    conditions jsonb not null,
    group_by text[] not null,
    threshold integer not null check (threshold between 1 and 10000),
    -- Seconds; null where one signal is enough.
    window_seconds bigint check (window_seconds between 1 and 86400),
    correlation text not null,
    severity text not null,
    priority text not null,
    category text not null,
    title_template text not null,
    reopen_seconds bigint not null check (reopen_seconds between 0 and 1209600),
    built_in boolean not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    -- A deleted rule stays: its incidents refer to it, and a built-in one must not come back.
    delete_time timestamptz,
    constraint counts_need_a_window check (threshold = 1 or window_seconds is not null)
);
create unique index rule_name on rule (tenant_id, name) where delete_time is null;
alter table rule enable row level security;
alter table rule force row level security;
create policy tenant on rule
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
revoke delete, truncate on rule from incident_app;

-- How far the rules have been applied to each tenant's log. A tenant without a row has no rules
-- yet: the row and the built-in rules are made together.
create table rule_cursor (
    tenant_id uuid primary key,
    position bigint not null check (position >= 0)
);
alter table rule_cursor enable row level security;
alter table rule_cursor force row level security;
create policy tenant on rule_cursor
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

create table alert (
    id uuid primary key,
    tenant_id uuid not null,
    rule_id uuid not null references rule (id),
    fingerprint bytea not null check (octet_length(fingerprint) = 32),
    group_values jsonb not null,
    state text not null check (state in ('COUNTING', 'FIRING', 'RESOLVED')),
    signal_count bigint not null,
    first_signal_time timestamptz not null,
    last_signal_time timestamptz not null,
    incident_id uuid references incident (id),
    constraint alert_once unique (tenant_id, fingerprint)
);
create index alert_by_incident on alert (incident_id) where incident_id is not null;
create index alert_by_time on alert (tenant_id, id);
alter table alert enable row level security;
alter table alert force row level security;
create policy tenant on alert
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

create table signal (
    rule_id uuid not null references rule (id),
    event_id uuid not null,
    tenant_id uuid not null,
    alert_id uuid not null references alert (id),
    position bigint not null,
    occur_time timestamptz not null,
    -- The incident that it was attached to, if any.
    incident_id uuid references incident (id),
    primary key (rule_id, event_id)
);
create index signal_window on signal (alert_id, occur_time);
create index signal_attached on signal (event_id, incident_id) where incident_id is not null;
alter table signal enable row level security;
alter table signal force row level security;
create policy tenant on signal
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
revoke delete, truncate on signal from incident_app;

-- Evidence is frozen: once the task was collected, or given up, nothing changes any more.
create table evidence (
    id uuid primary key,
    tenant_id uuid not null,
    incident_id uuid not null references incident (id),
    event_id uuid not null,
    position bigint not null,
    task_id text not null,
    attempts jsonb not null,
    task jsonb,
    state text not null check (state in ('PENDING', 'COLLECTED', 'INCOMPLETE')),
    incomplete_reason text not null,
    create_time timestamptz not null,
    collect_time timestamptz,
    -- What it takes of an answer that holds its incident.
    bytes bigint not null check (bytes >= 0),
    constraint evidence_once unique (incident_id, event_id),
    foreign key (tenant_id, position) references event (tenant_id, position)
);
create index evidence_pending on evidence (create_time) where state = 'PENDING';
create index evidence_by_task on evidence (tenant_id, task_id) where task_id <> '';
alter table evidence enable row level security;
alter table evidence force row level security;
create policy tenant on evidence
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
revoke delete, truncate on evidence from incident_app;

create function freeze_evidence() returns trigger language plpgsql as $$
begin
    if old.state <> 'PENDING' then
        raise exception 'evidence % is frozen', old.id;
    end if;
    if (new.event_id, new.position, new.attempts, new.create_time, new.incident_id)
        is distinct from
       (old.event_id, old.position, old.attempts, old.create_time, old.incident_id) then
        raise exception 'what evidence % was made of is frozen', old.id;
    end if;
    return new;
end $$;
create trigger frozen before update on evidence
    for each row execute function freeze_evidence();
