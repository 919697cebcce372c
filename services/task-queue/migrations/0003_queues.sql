-- What keeps tasks from being handed out, and dead letters that were discarded.
--
-- A brake is a row here and nothing else: the claim of a task asks for it in its own statement, so
-- no cache can be late. Whoever asks first asks whether there is any brake at all; while there is
-- none, that one look into an empty index is all that a statement pays for it.

create table brake (
    tenant_id uuid not null,
    -- "queue/<queue>" for the pause of a queue; no other name has a slash.
    name text not null check (length(name) between 1 and 128),
    id uuid not null,
    -- An empty list or object chooses any.
    queues text[] not null,
    types text[] not null,
    capabilities text[] not null,
    labels jsonb not null,
    reason text not null,
    creator_kind smallint not null,
    creator_subject text not null,
    creator_name text not null,
    create_time timestamptz not null,
    primary key (tenant_id, name)
);

create trigger brake_immutable before update on brake
for each row execute function refuse_change();

alter table brake enable row level security;
alter table brake force row level security;
create policy tenant on brake
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- The brakes that choose a task. Plain SQL that returns a set, so that the planner puts it in the
-- place of the call. The task's own row is looked up only for a brake that asks for type or labels.
create function brakes_on(task uuid, tenant uuid, queue_name text, capability_name text)
returns setof uuid
language sql stable
as $$
    select b.id
    from brake b
    where b.tenant_id = tenant
      and (cardinality(b.queues) = 0 or queue_name = any (b.queues))
      and (cardinality(b.capabilities) = 0 or capability_name = any (b.capabilities))
      and (
          (cardinality(b.types) = 0 and b.labels = '{}')
          or exists (
              select from task t
              where t.id = task and t.tenant_id = tenant
                and (cardinality(b.types) = 0 or t.type = any (b.types))
                and t.labels @> b.labels
          )
      )
$$;

-- Dead letters that nobody will redrive. The outcome itself never changes; whoever writes here, or
-- redrives, locks it first.
create table task_discard (
    task_id uuid primary key,
    tenant_id uuid not null,
    reason text not null,
    actor_kind smallint not null,
    actor_subject text not null,
    actor_name text not null,
    discard_time timestamptz not null
);

create trigger task_discard_immutable before update on task_discard
for each row execute function refuse_change();

alter table task_discard enable row level security;
alter table task_discard force row level security;
create policy tenant on task_discard
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));
