-- Limits on spending, and money set aside for work under way.

create table budget (
    id           uuid           primary key,
    tenant_id    uuid           not null,
    name         text           not null check (char_length(name) between 1 and 100),
    parent_id    uuid           references budget (id),
    -- This budget and every enclosing one, from here to the root. A parent never changes.
    path         uuid[]         not null check (path[1] = id and cardinality(path) between 1 and 8),
    scope        text           not null
        check (scope in ('TENANT', 'TEAM', 'PROJECT', 'WORKFLOW', 'AGENT', 'TASK')),
    scope_id     text           not null,
    currency     char(3)        not null,
    cap          numeric(28,10) not null check (cap > 0),
    -- spent + reserved <= cap is the condition of every reservation and no CHECK: what was really
    -- spent is booked even beyond the cap.
    spent        numeric(28,10) not null default 0 check (spent >= 0),
    reserved     numeric(28,10) not null default 0 check (reserved >= 0),
    exhaust_time timestamptz,
    create_time  timestamptz    not null,
    constraint budget_name_unique unique (tenant_id, name)
);
alter table budget enable row level security;
alter table budget force row level security;
create policy tenant on budget
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
create index budget_by_tenant on budget (tenant_id, id);
create index budget_by_parent on budget (parent_id) where parent_id is not null;

create table hold (
    id          uuid           primary key,
    tenant_id   uuid           not null,
    budget_id   uuid           not null references budget (id),
    -- The budgets that it counts in, as the budget's own path.
    path        uuid[]         not null,
    task_id     uuid,
    attempt     integer        not null check (attempt >= 0),
    currency    char(3)        not null,
    amount      numeric(28,10) not null check (amount > 0),
    state       text           not null
        check (state in ('HELD', 'COMMITTED', 'RELEASED', 'EXPIRED')),
    actual      numeric(28,10) check (actual >= 0),
    expire_time timestamptz    not null,
    create_time timestamptz    not null,
    close_time  timestamptz,
    check ((state = 'HELD') = (close_time is null)),
    check (state <> 'COMMITTED' or actual is not null),
    check (state not in ('HELD', 'RELEASED') or actual is null)
);
alter table hold enable row level security;
alter table hold force row level security;
create policy tenant on hold
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
create index hold_by_tenant on hold (tenant_id, id desc);
create index hold_by_task on hold (tenant_id, task_id, id desc) where task_id is not null;
create index hold_by_budget on hold (budget_id, id desc);
-- What the expiry loop looks at: open holds only.
create index hold_open on hold (expire_time) where state = 'HELD';

-- HELD ends once; an EXPIRED hold takes one late commit and stays EXPIRED.
create function hold_guard() returns trigger language plpgsql as $$
begin
    if (old.id, old.tenant_id, old.budget_id, old.path, old.currency, old.amount)
       is distinct from (new.id, new.tenant_id, new.budget_id, new.path, new.currency, new.amount) then
        raise exception 'hold % cannot be edited', old.id;
    end if;
    if old.state = 'HELD' and new.state in ('HELD', 'COMMITTED', 'RELEASED', 'EXPIRED')
       or old.state = 'EXPIRED' and new.state = 'EXPIRED' and old.actual is null then
        return new;
    end if;
    raise exception 'hold % is % and cannot become %', old.id, old.state, new.state;
end $$;
create trigger hold_guard before update on hold
    for each row execute function hold_guard();

revoke delete on budget, hold from finance_app;
