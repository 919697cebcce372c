-- Money that came for invoices.

-- The machine, as data. domain/payment.rs says the same, and a test compares the two.
create table payment_transition (
    from_status text not null,
    to_status   text not null,
    primary key (from_status, to_status)
);
insert into payment_transition (from_status, to_status) values
    ('PENDING', 'PROCESSING'), ('PENDING', 'COMPLETED'), ('PENDING', 'FAILED'),
    ('PENDING', 'CANCELLED'),
    ('PROCESSING', 'COMPLETED'), ('PROCESSING', 'FAILED'), ('PROCESSING', 'CANCELLED'),
    ('COMPLETED', 'REFUNDED'), ('COMPLETED', 'DISPUTED'),
    ('FAILED', 'COMPLETED'),
    ('DISPUTED', 'COMPLETED'), ('DISPUTED', 'REFUNDED');
revoke insert, update, delete on payment_transition from finance_app;

create table payment (
    id                 uuid        primary key,
    tenant_id          uuid        not null,
    version            bigint      not null check (version >= 1),
    invoice_id         uuid        not null references invoice (id),
    currency           char(3)     not null,
    amount_minor       bigint      not null check (amount_minor between 1 and 9000000000000000),
    fee_minor          bigint      not null check (fee_minor between 0 and amount_minor),
    method             text        not null check (method in ('BANK_TRANSFER', 'CREDIT_CARD',
        'DEBIT_CARD', 'PAYPAL', 'STRIPE', 'CHECK', 'CASH', 'CRYPTOCURRENCY', 'ACH')),
    status             text        not null check (status in ('PENDING', 'PROCESSING', 'COMPLETED',
        'FAILED', 'CANCELLED', 'REFUNDED', 'DISPUTED')),
    -- Null when there is none, so that the constraint binds only those that have one.
    transaction_id     text,
    reference          text        not null,
    payment_time       timestamptz not null,
    process_time       timestamptz,
    processor_response text        not null,
    notes              text        not null,
    processor_data     jsonb       not null check (jsonb_typeof(processor_data) = 'object'),
    create_time        timestamptz not null,
    constraint payment_transaction_unique unique (tenant_id, method, transaction_id),
    constraint payment_processed
        check ((status in ('PENDING', 'PROCESSING')) = (process_time is null))
);
alter table payment enable row level security;
alter table payment force row level security;
create policy tenant on payment
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
create index payment_by_tenant on payment (tenant_id, id desc);
create index payment_by_invoice on payment (invoice_id, id);

create function payment_guard() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        if new.status not in ('PENDING', 'COMPLETED') then
            raise exception 'a payment begins as PENDING or COMPLETED, not %', new.status;
        end if;
        return new;
    end if;
    if new.status <> old.status and not exists (
        select from payment_transition
        where from_status = old.status and to_status = new.status) then
        raise exception 'payment % is % and cannot become %', old.id, old.status, new.status;
    end if;
    if (old.id, old.tenant_id, old.invoice_id, old.currency, old.amount_minor, old.fee_minor,
        old.method, old.payment_time)
       is distinct from
       (new.id, new.tenant_id, new.invoice_id, new.currency, new.amount_minor, new.fee_minor,
        new.method, new.payment_time) then
        raise exception 'payment % cannot be edited', old.id;
    end if;
    return new;
end $$;
create trigger payment_guard before insert or update on payment
    for each row execute function payment_guard();
revoke delete on payment from finance_app;
