-- The books: double entry, append-only, zero in every transaction and currency. Amounts are signed,
-- debits positive. Accruals have ten decimals; what is invoiced or paid has the currency's own.

create table ledger_account (
    id          uuid           primary key,
    tenant_id   uuid           not null,
    code        text           not null check (char_length(code) between 1 and 400),
    currency    char(3)        not null,
    kind        text           not null
        check (kind in ('ASSET', 'LIABILITY', 'REVENUE', 'EXPENSE', 'EQUITY')),
    -- The sum of the account's entries; VerifyLedger adds them up again.
    balance     numeric(28,10) not null,
    create_time timestamptz    not null,
    constraint ledger_account_code_unique unique (tenant_id, code, currency),
    -- What an entry refers to.
    constraint ledger_account_place_unique unique (id, tenant_id, currency)
);
alter table ledger_account enable row level security;
alter table ledger_account force row level security;
create policy tenant on ledger_account
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

create table ledger_journal (
    id          uuid        primary key,
    tenant_id   uuid        not null,
    kind        text        not null check
        (kind in ('USAGE', 'INVOICE_ISSUED', 'INVOICE_CANCELLED', 'PAYMENT_RECEIVED')),
    source_id   uuid        not null,
    reverses_id uuid        references ledger_journal (id),
    effect_time timestamptz not null,
    create_time timestamptz not null,
    -- A fact is posted once, and reversed at most once.
    constraint ledger_journal_once unique (tenant_id, kind, source_id),
    constraint ledger_journal_reversed_once unique (reverses_id)
);
alter table ledger_journal enable row level security;
alter table ledger_journal force row level security;
create policy tenant on ledger_journal
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

create table ledger_entry (
    journal_id uuid           not null references ledger_journal (id),
    line       integer        not null check (line >= 0),
    tenant_id  uuid           not null,
    account_id uuid           not null,
    currency   char(3)        not null,
    amount     numeric(28,10) not null check (amount <> 0),
    primary key (journal_id, line),
    -- An entry is on an account of its own tenant and currency.
    constraint ledger_entry_account foreign key (account_id, tenant_id, currency)
        references ledger_account (id, tenant_id, currency)
);
alter table ledger_entry enable row level security;
alter table ledger_entry force row level security;
create policy tenant on ledger_entry
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
create index ledger_entry_by_account on ledger_entry (account_id, journal_id desc);
create index ledger_entry_by_tenant on ledger_entry (tenant_id, journal_id desc, line);

-- Checked when the transaction commits, so that its entries may be inserted in any order.
create function ledger_entry_balanced() returns trigger language plpgsql as $$
begin
    if exists (select from ledger_entry where journal_id = new.journal_id
               group by currency having sum(amount) <> 0) then
        raise exception 'ledger transaction % does not add up to zero', new.journal_id
            using errcode = 'check_violation', constraint = 'ledger_entry_balanced';
    end if;
    return null;
end $$;
create constraint trigger ledger_entry_balanced after insert on ledger_entry
    deferrable initially deferred
    for each row execute function ledger_entry_balanced();

-- Nothing posted is changed or removed, not even by the owner of the schema.
create function ledger_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is append-only';
end $$;
create trigger ledger_journal_append_only before update or delete or truncate on ledger_journal
    for each statement execute function ledger_append_only();
create trigger ledger_entry_append_only before update or delete or truncate on ledger_entry
    for each statement execute function ledger_append_only();
revoke update, delete on ledger_journal, ledger_entry from finance_app;
revoke delete on ledger_account from finance_app;
