-- Signals of an alert in the window that ends with the newest of them.
select count(*) from signal
where alert_id = $1 and occur_time > $2::timestamptz - make_interval(secs => $3::double precision)
    and occur_time <= $2
