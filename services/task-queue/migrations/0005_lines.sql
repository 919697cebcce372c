-- Where a ready task waits, beside its queue and capability: which agents its lane is for, and the
-- line within the lane. Facts that never change; copies, so that no scan has to join.
alter table task_run
    -- What more than the capability an agent must meet; '' for nothing. Part of the lane's name.
    add column demand text not null default '',
    -- '' the common line, '!' before all others, '=<key>' the line of a fairness key.
    add column line text not null default ''
        check (line in ('', '!') or line like '=_%'),
    add column line_weight real not null default 1 check (line_weight > 0);
