-- Incidents that nobody answered in time and whose breach is not yet in the timeline. Those that
-- somebody is changing right now are left for the next pass.
select * from incident
where acknowledge_time is null and breach_record_time is null
    and status not in ('RESOLVED', 'CLOSED') and due_time <= $1
order by due_time
limit $2
for update skip locked
