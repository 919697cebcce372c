-- An event is a signal of a rule once, however often the rules are applied to it.
insert into signal (rule_id, event_id, tenant_id, alert_id, position, occur_time)
values ($1, $2, $3, $4, $5, $6)
on conflict (rule_id, event_id) do nothing
