-- Signals of an alert in the window that ends with the newest of them. A signal that was recorded
-- late still completes the window that it lies in.
select count(*) from signal
where tenant_id = $1 and alert_id = $2
    and occur_time > $3::timestamptz - make_interval(secs => $4::double precision)
    and occur_time <= $3
