insert into alert (
    id, tenant_id, rule_id, fingerprint, group_values, state, signal_count, first_signal_time,
    last_signal_time
) values ($1, $2, $3, $4, $5, 'COUNTING', 1, $6, $6)
on conflict (tenant_id, fingerprint) do update set
    signal_count = alert.signal_count + 1,
    first_signal_time = least(alert.first_signal_time, excluded.first_signal_time),
    last_signal_time = greatest(alert.last_signal_time, excluded.last_signal_time)
returning id, last_signal_time, incident_id
