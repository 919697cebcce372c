insert into recorded_source (source, sequence) values ($1, $2)
on conflict (source) do update set sequence = excluded.sequence
