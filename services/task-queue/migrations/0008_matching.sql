-- Which agents a task is for, beside its capability, and who had it.

-- What tasks ask of agents. Tasks of one capability that ask for the same wait in one lane, whose name
-- has the id of what they ask for, and agents that meet it take from that lane. An id is a digest of
-- the rest of the row, so a row never changes but in use_time. A row that is missing would hide its
-- tasks, so each is written with the first task that needs it, and goes a day after the last use
-- that may have been written without looking here.
create table demand (
    tenant_id uuid not null,
    id text not null check (id like '#_%'),
    capability text not null,
    -- {versions, attributes, labels, pin}, all of which must hold.
    terms jsonb not null,
    -- When it was last wanted, give or take the hour for which a replica remembers that it is here.
    use_time timestamptz not null,
    primary key (tenant_id, id)
);

alter table demand enable row level security;
alter table demand force row level security;
create policy tenant on demand
    using (tenant_visible(tenant_id)) with check (tenant_visible(tenant_id));

-- Agents that the task avoids are in rejected_by from the beginning.
alter table task_run
    -- In which version the agent that has it offers the capability; null for none.
    add column capability_version text,
    -- Agents that failed, and are given the task only if nobody else is there; null for none.
    add column failed_at uuid[],
    -- Failures that each rule of its retry policy was about; null without rules.
    add column rule_failures integer[];
alter table task_outcome
    add column capability_version text,
    -- The rule of the retry policy that decided about the last attempt, from 1; null for none.
    add column retry_rule smallint;
alter table attempt
    add column capability_version text,
    add column retry_rule smallint;
