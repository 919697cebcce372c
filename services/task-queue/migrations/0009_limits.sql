-- Limits: how many tasks may be with agents at a time, and how many may be leased in a time.
--
-- A limit divides the tasks that it chooses into groups; each group has an allowance, named
-- "limit/<limit>/<value>", and each concurrency key without a limit one named "key/<key>". The
-- transaction that leases a task takes the advisory locks of its allowances, counts, and writes what
-- it took, so two replicas never take the same place. What is with agents is counted from the runs
-- themselves: a slot counts while its task is held and no longer, so a crash can leak none. A slot
-- whose task is not held is only litter.

alter table task_run
    -- Whether it has concurrency keys. Never changes.
    add column keyed boolean not null default false,
    -- It found no room and is not in the ready queues; `limit_wait` says for what it waits.
    add column parked boolean not null default false,
    add constraint task_run_parked check (not parked or state = 1);

create table task_limit (
    tenant_id uuid not null,
    name text not null check (length(name) between 1 and 64),
    -- Changes with every change.
    id uuid not null,
    -- An empty list or object chooses any.
    queues text[] not null,
    types text[] not null,
    capabilities text[] not null,
    labels jsonb not null,
    -- 1 tenant, 2 queue, 3 type, 4 capability, 5 fairness key, 6 concurrency key.
    per smallint not null check (per between 1 and 6),
    key_prefix text not null check (per = 6 or key_prefix = ''),
    max_running integer check (max_running > 0),
    rate_tasks integer check (rate_tasks > 0),
    rate_period_ms bigint check (rate_period_ms > 0),
    rate_burst integer check (rate_burst > 0),
    reason text not null,
    actor_kind smallint not null,
    actor_subject text not null,
    actor_name text not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    primary key (tenant_id, name),
    check (max_running is not null or rate_tasks is not null),
    check ((rate_tasks is null) = (rate_period_ms is null)),
    check ((rate_tasks is null) = (rate_burst is null))
);

-- Who took a place of an allowance. It counts while the task is held.
create table limit_slot (
    tenant_id uuid not null,
    allowance text not null,
    task_id uuid not null,
    primary key (tenant_id, allowance, task_id)
);

-- The tokens that were left of a rate at a time.
create table limit_bucket (
    tenant_id uuid not null,
    allowance text not null,
    tokens double precision not null check (tokens >= 0),
    fill_time timestamptz not null,
    primary key (tenant_id, allowance)
);

-- Tasks that are parked: each waits for the first allowance that had no room for it.
create table limit_wait (
    task_id uuid primary key,
    tenant_id uuid not null,
    allowance text not null,
    order_score bigint not null
);
create index limit_wait_in_order on limit_wait (tenant_id, allowance, order_score, task_id);

alter table task_limit enable row level security;
alter table task_limit force row level security;
create policy tenant on task_limit
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table limit_slot enable row level security;
alter table limit_slot force row level security;
create policy tenant on limit_slot
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table limit_bucket enable row level security;
alter table limit_bucket force row level security;
create policy tenant on limit_bucket
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
alter table limit_wait enable row level security;
alter table limit_wait force row level security;
create policy tenant on limit_wait
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
