-- What work consumed and what that cost. A record is evidence: it is inserted once, priced at most
-- once and billed by at most one invoice at a time.

create table usage_record (
    id                  uuid        primary key,
    tenant_id           uuid        not null,
    -- 'task:<task>/<attempt>' for what a task's event carried, 'report:<uuid>' for ReportUsage.
    -- With the line it makes applying an event twice have one effect.
    source              text        not null,
    line                integer     not null check (line >= 0),
    task_id             uuid,
    attempt             integer     not null check (attempt >= 0),
    agent_id            uuid,
    project_id          uuid,
    execution_id        uuid,
    budget_id           uuid,
    provider            text        not null,
    model               text        not null,
    input_tokens        bigint      not null check (input_tokens >= 0),
    cached_input_tokens bigint      not null check (cached_input_tokens >= 0),
    output_tokens       bigint      not null check (output_tokens >= 0),
    busy_micros         bigint      not null check (busy_micros >= 0),
    -- Other resources by name, plain decimal strings.
    quantities          jsonb       not null check (jsonb_typeof(quantities) = 'object'),
    status              text        not null check (status in ('PRICED', 'UNPRICED')),
    outcome             text        not null
        check (outcome in ('COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT')),
    rate_card_id        uuid        references rate_card (id),
    currency            char(3),
    cost                numeric(28,10),
    missing_prices      text[]      not null,
    -- What an unpriced record counts as in its budget until it is priced: the rest of its hold.
    provisional         numeric(28,10) not null check (provisional >= 0),
    use_time            timestamptz not null,
    create_time         timestamptz not null,
    -- When pricing was last tried; a rate card stored later is a reason to try again.
    price_time          timestamptz not null,
    invoice_id          uuid,
    constraint usage_record_once unique (tenant_id, source, line),
    -- Never a cost without a price, and never a price without a cost.
    check ((status = 'PRICED') = (cost is not null and currency is not null and rate_card_id is not null)),
    check (cost >= 0),
    check (status = 'PRICED' or invoice_id is null)
);
alter table usage_record enable row level security;
alter table usage_record force row level security;
create policy tenant on usage_record
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

create index usage_record_by_tenant on usage_record (tenant_id, id desc);
create index usage_record_by_task on usage_record (tenant_id, task_id, id desc);
create index usage_record_by_project on usage_record (tenant_id, project_id, use_time);
-- What no invoice bills yet, and what nobody could price: both stay small.
create index usage_record_unbilled on usage_record (tenant_id, project_id, use_time)
    where invoice_id is null and status = 'PRICED';
create index usage_record_unpriced on usage_record (price_time) where status = 'UNPRICED';
create index usage_record_by_invoice on usage_record (invoice_id) where invoice_id is not null;

-- The priced parts of a record.
create table usage_charge (
    usage_id  uuid           not null references usage_record (id),
    tenant_id uuid           not null,
    line      integer        not null,
    provider  text           not null,
    model     text           not null,
    meter     text           not null,
    quantity  numeric(28,10) not null check (quantity > 0),
    amount    numeric(28,10) not null check (amount >= 0),
    per_units bigint         not null check (per_units >= 1),
    cost      numeric(28,10) not null check (cost >= 0),
    primary key (usage_id, line)
);
alter table usage_charge enable row level security;
alter table usage_charge force row level security;
create policy tenant on usage_charge
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- Only pricing and billing may touch a record; nobody removes one.
create function usage_record_guard() returns trigger language plpgsql as $$
begin
    if (old.id, old.tenant_id, old.source, old.line, old.task_id, old.attempt, old.agent_id,
        old.project_id, old.execution_id, old.budget_id, old.provider, old.model,
        old.input_tokens, old.cached_input_tokens, old.output_tokens, old.busy_micros,
        old.quantities, old.outcome, old.use_time, old.create_time)
       is distinct from
       (new.id, new.tenant_id, new.source, new.line, new.task_id, new.attempt, new.agent_id,
        new.project_id, new.execution_id, new.budget_id, new.provider, new.model,
        new.input_tokens, new.cached_input_tokens, new.output_tokens, new.busy_micros,
        new.quantities, new.outcome, new.use_time, new.create_time) then
        raise exception 'usage record % is evidence and cannot be edited', old.id;
    end if;
    if old.status = 'PRICED' and (old.cost, old.currency, old.rate_card_id, old.status)
       is distinct from (new.cost, new.currency, new.rate_card_id, new.status) then
        raise exception 'usage record % is priced already', old.id;
    end if;
    return new;
end $$;
create trigger usage_record_guard before update on usage_record
    for each row execute function usage_record_guard();

-- The time an agent worked on one attempt, from the task queue's lease.
create table time_entry (
    id          uuid        primary key,
    tenant_id   uuid        not null,
    agent_id    uuid        not null,
    task_id     uuid        not null,
    attempt     integer     not null check (attempt >= 1),
    task_type   text        not null,
    project_id  uuid,
    start_time  timestamptz not null,
    end_time    timestamptz not null check (end_time >= start_time),
    billable    boolean     not null,
    create_time timestamptz not null,
    invoice_id  uuid,
    constraint time_entry_once unique (tenant_id, task_id, attempt)
);
alter table time_entry enable row level security;
alter table time_entry force row level security;
create policy tenant on time_entry
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
create index time_entry_by_tenant on time_entry (tenant_id, start_time, id);
-- Most attempts belong to no project; they cost these two indexes nothing.
create index time_entry_by_project on time_entry (tenant_id, project_id, start_time, id)
    where project_id is not null;
create index time_entry_unbilled on time_entry (tenant_id, project_id, end_time)
    where project_id is not null and invoice_id is null;
create index time_entry_by_invoice on time_entry (invoice_id) where invoice_id is not null;

revoke delete on usage_record, usage_charge, time_entry from finance_app;
revoke update on usage_charge from finance_app;
