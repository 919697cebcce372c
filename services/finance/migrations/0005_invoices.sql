-- Invoices: facts, and the status derived from them. Booked amounts are minor units.

-- The machine, as data. domain/invoice_status.rs says the same, and a test compares the two.
create table invoice_transition (
    from_status text not null,
    to_status   text not null,
    primary key (from_status, to_status)
);
insert into invoice_transition (from_status, to_status) values
    ('DRAFT', 'SENT'), ('DRAFT', 'PAID'), ('DRAFT', 'CANCELLED'),
    ('SENT', 'VIEWED'), ('SENT', 'PARTIALLY_PAID'), ('SENT', 'PAID'), ('SENT', 'OVERDUE'),
    ('SENT', 'CANCELLED'),
    ('VIEWED', 'PARTIALLY_PAID'), ('VIEWED', 'PAID'), ('VIEWED', 'OVERDUE'),
    ('VIEWED', 'CANCELLED'),
    ('PARTIALLY_PAID', 'PAID'), ('PARTIALLY_PAID', 'OVERDUE'), ('PARTIALLY_PAID', 'REFUNDED'),
    ('PARTIALLY_PAID', 'SENT'), ('PARTIALLY_PAID', 'VIEWED'),
    ('OVERDUE', 'PAID'), ('OVERDUE', 'CANCELLED'), ('OVERDUE', 'REFUNDED'), ('OVERDUE', 'SENT'),
    ('OVERDUE', 'VIEWED'), ('OVERDUE', 'PARTIALLY_PAID'),
    ('PAID', 'REFUNDED'), ('PAID', 'PARTIALLY_PAID'), ('PAID', 'OVERDUE'), ('PAID', 'SENT'),
    ('PAID', 'VIEWED');
revoke insert, update, delete on invoice_transition from finance_app;

create table invoice (
    id             uuid           primary key,
    tenant_id      uuid           not null,
    version        bigint         not null check (version >= 1),
    project_id     uuid           not null,
    series         text           not null check (series ~ '^[A-Z][A-Z0-9]{0,9}$'),
    -- Given when the invoice is issued: year, place in the series, and both as printed.
    fiscal_year    integer,
    number         bigint         check (number >= 1),
    number_text    text,
    status         text           not null check (status in ('DRAFT', 'SENT', 'VIEWED',
        'PARTIALLY_PAID', 'PAID', 'OVERDUE', 'CANCELLED', 'REFUNDED')),
    currency       char(3)        not null,
    client_id      text           not null,
    -- Copies of both parties, the terms and what else is printed, as they were.
    document       jsonb          not null check (jsonb_typeof(document) = 'object'),
    custom_fields  jsonb          not null check (jsonb_typeof(custom_fields) = 'object'),
    generated_by   uuid,
    period_start   timestamptz,
    period_end     timestamptz    not null,
    net_days       integer        not null check (net_days between 0 and 365),
    net_minor      bigint         not null check (net_minor between 0 and 9000000000000000),
    tax_minor      bigint         not null check (tax_minor between 0 and 9000000000000000),
    total_minor    bigint         not null check (total_minor between 0 and 9000000000000000),
    paid_minor     bigint         not null default 0,
    -- What came and went back with a credit note.
    refunded_minor bigint         not null default 0 check (refunded_minor >= 0),
    create_time    timestamptz    not null,
    issue_time     timestamptz,
    view_time      timestamptz,
    due_time       timestamptz,
    paid_time      timestamptz,
    cancel_time    timestamptz,
    cancel_reason  text           not null default '',
    constraint invoice_number_unique unique (tenant_id, series, fiscal_year, number),
    constraint invoice_total check (total_minor = net_minor + tax_minor),
    constraint invoice_paid check (paid_minor between 0 and total_minor),
    -- A number, a date of issue and a due date come together, and only by issuing.
    constraint invoice_issued check (
        (number is null) = (issue_time is null) and (number_text is null) = (issue_time is null)
        and (due_time is null) = (issue_time is null)
        and (fiscal_year is null) = (issue_time is null)),
    -- The status says what the facts say.
    constraint invoice_facts check (case status
        when 'DRAFT' then issue_time is null and cancel_time is null
        when 'SENT' then issue_time is not null and paid_minor = 0 and view_time is null
        when 'VIEWED' then issue_time is not null and paid_minor = 0 and view_time is not null
        when 'PARTIALLY_PAID' then issue_time is not null and paid_minor > 0
            and paid_minor < total_minor
        when 'PAID' then issue_time is not null and paid_minor = total_minor
        when 'OVERDUE' then issue_time is not null and paid_minor < total_minor
        when 'CANCELLED' then cancel_time is not null and paid_minor = 0
        when 'REFUNDED' then issue_time is not null and refunded_minor > 0 and paid_minor = 0
        end),
    check (status = 'CANCELLED' or cancel_time is null)
);
alter table invoice enable row level security;
alter table invoice force row level security;
create policy tenant on invoice
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
create index invoice_by_tenant on invoice (tenant_id, id desc);
create index invoice_by_project on invoice (tenant_id, project_id, id desc);
-- What the overdue loop looks at.
create index invoice_due on invoice (due_time)
    where status in ('SENT', 'VIEWED', 'PARTIALLY_PAID');

create function invoice_guard() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        if new.status <> 'DRAFT' then
            raise exception 'an invoice begins as DRAFT, not %', new.status;
        end if;
        return new;
    end if;
    if new.status <> old.status and not exists (
        select from invoice_transition
        where from_status = old.status and to_status = new.status) then
        raise exception 'invoice % is % and cannot become %', old.id, old.status, new.status;
    end if;
    if (old.id, old.tenant_id, old.project_id, old.series, old.currency, old.client_id,
        old.document, old.custom_fields, old.generated_by, old.period_start, old.period_end,
        old.net_days, old.net_minor, old.tax_minor, old.total_minor, old.create_time)
       is distinct from
       (new.id, new.tenant_id, new.project_id, new.series, new.currency, new.client_id,
        new.document, new.custom_fields, new.generated_by, new.period_start, new.period_end,
        new.net_days, new.net_minor, new.tax_minor, new.total_minor, new.create_time) then
        raise exception 'invoice % cannot be edited; cancel it and make another', old.id;
    end if;
    if old.issue_time is not null and (old.issue_time, old.fiscal_year, old.number, old.number_text)
       is distinct from (new.issue_time, new.fiscal_year, new.number, new.number_text) then
        raise exception 'invoice % keeps its number', old.id;
    end if;
    if old.view_time is not null and new.view_time is distinct from old.view_time then
        raise exception 'invoice % stays viewed', old.id;
    end if;
    if new.version <> old.version + 1 then
        raise exception 'invoice % goes from version % to the next, not to %',
            old.id, old.version, new.version;
    end if;
    return new;
end $$;
create trigger invoice_guard before insert or update on invoice
    for each row execute function invoice_guard();

create table invoice_line (
    invoice_id   uuid           not null references invoice (id),
    tenant_id    uuid           not null,
    line         integer        not null check (line >= 1),
    kind         text           not null check (kind in ('MODEL', 'RESOURCE', 'TIME', 'CUSTOM')),
    description  text           not null,
    quantity     numeric(28,10) not null check (quantity > 0),
    unit         text           not null,
    price        numeric(28,10) not null check (price >= 0),
    per_units    bigint         not null check (per_units >= 1),
    net_minor    bigint         not null check (net_minor >= 0),
    tax_category text           not null check (tax_category in
        ('STANDARD', 'ZERO_RATED', 'EXEMPT', 'REVERSE_CHARGE', 'EXPORT', 'OUTSIDE_SCOPE')),
    tax_percent  numeric(7,4)   not null check (tax_percent between 0 and 100),
    tax_minor    bigint         not null check (tax_minor >= 0),
    primary key (invoice_id, line)
);
alter table invoice_line enable row level security;
alter table invoice_line force row level security;
create policy tenant on invoice_line
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- The lines add up to the invoice, when the transaction commits.
create function invoice_lines_add_up() returns trigger language plpgsql as $$
declare
    one uuid := coalesce(new.invoice_id, old.invoice_id);
begin
    if exists (
        select from invoice i
        left join invoice_line l on l.invoice_id = i.id
        where i.id = one
        group by i.id
        having coalesce(sum(l.net_minor), 0) <> i.net_minor
            or coalesce(sum(l.tax_minor), 0) <> i.tax_minor) then
        raise exception 'the lines of invoice % do not add up to it', one
            using errcode = 'check_violation', constraint = 'invoice_lines_add_up';
    end if;
    return null;
end $$;
create constraint trigger invoice_lines_add_up after insert or update or delete on invoice_line
    deferrable initially deferred
    for each row execute function invoice_lines_add_up();

create table invoice_tax (
    invoice_id    uuid         not null references invoice (id),
    tenant_id     uuid         not null,
    line          integer      not null,
    category      text         not null,
    percent       numeric(7,4) not null,
    taxable_minor bigint       not null,
    tax_minor     bigint       not null,
    primary key (invoice_id, line)
);
alter table invoice_tax enable row level security;
alter table invoice_tax force row level security;
create policy tenant on invoice_tax
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- What the billed work cost and consumed, as it was when the invoice was made.
create table invoice_breakdown (
    invoice_id    uuid           not null references invoice (id),
    tenant_id     uuid           not null,
    line          integer        not null,
    category      text           not null,
    label         text           not null,
    cost          numeric(28,10) not null,
    billed_minor  bigint         not null,
    share_percent numeric(7,2)   not null,
    primary key (invoice_id, line)
);
alter table invoice_breakdown enable row level security;
alter table invoice_breakdown force row level security;
create policy tenant on invoice_breakdown
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

create table invoice_resource (
    invoice_id uuid           not null references invoice (id),
    tenant_id  uuid           not null,
    line       integer        not null,
    resource   text           not null,
    model      text           not null,
    quantity   numeric(28,10) not null,
    cost       numeric(28,10) not null,
    primary key (invoice_id, line)
);
alter table invoice_resource enable row level security;
alter table invoice_resource force row level security;
create policy tenant on invoice_resource
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- Which time an invoice was made from; kept when the invoice is cancelled and the time is free.
create table invoice_time (
    invoice_id    uuid not null references invoice (id),
    tenant_id     uuid not null,
    time_entry_id uuid not null references time_entry (id),
    primary key (invoice_id, time_entry_id)
);
alter table invoice_time enable row level security;
alter table invoice_time force row level security;
create policy tenant on invoice_time
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

revoke update, delete on invoice_line, invoice_tax, invoice_breakdown, invoice_resource,
    invoice_time from finance_app;
revoke delete on invoice from finance_app;

-- One row for each series and year. Its lock is what makes numbers gapless: it is taken last in the
-- transaction that issues, so nothing slow happens under it.
create table invoice_series (
    tenant_id       uuid        not null,
    series          text        not null,
    fiscal_year     integer     not null,
    last            bigint      not null check (last >= 1),
    -- The latest time of issue, before which no further number is dated.
    last_issue_time timestamptz not null,
    primary key (tenant_id, series, fiscal_year)
);
alter table invoice_series enable row level security;
alter table invoice_series force row level security;
create policy tenant on invoice_series
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
revoke delete on invoice_series from finance_app;
