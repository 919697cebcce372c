-- Price lists. A version never changes once it is stored, so a cost can name what priced it.

create table rate_card (
    id          uuid        primary key,
    tenant_id   uuid        not null,
    name        text        not null check (char_length(name) between 1 and 100),
    version     integer     not null check (version >= 1),
    currency    char(3)     not null,
    valid_from  timestamptz not null,
    valid_to    timestamptz check (valid_to > valid_from),
    description text        not null,
    create_time timestamptz not null,
    constraint rate_card_version_unique unique (tenant_id, name, version)
);
alter table rate_card enable row level security;
alter table rate_card force row level security;
create policy tenant on rate_card
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- One price of one meter: of a model's tokens, or, with provider and model empty, of a resource.
create table rate_card_price (
    rate_card_id uuid           not null references rate_card (id),
    tenant_id    uuid           not null,
    provider     text           not null,
    model        text           not null,
    meter        text           not null,
    amount       numeric(28,10) not null check (amount >= 0),
    per_units    bigint         not null check (per_units between 1 and 1000000000),
    primary key (rate_card_id, provider, model, meter),
    check ((provider = '') = (model = ''))
);
alter table rate_card_price enable row level security;
alter table rate_card_price force row level security;
create policy tenant on rate_card_price
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- The list, newest first, and the search for what prices a moment.
create index rate_card_by_tenant on rate_card (tenant_id, id desc);

revoke update, delete on rate_card, rate_card_price from finance_app;
