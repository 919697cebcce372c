-- Schedules whose time it is, the longest overdue first, locked until their runs are committed.
-- Those that another replica has locked are being handled; by the time that it lets go they have
-- moved on, or it died and they are found again. $3 chooses one alone.
select s.* from schedule s
where s.next_fire <= $1 and ($3::uuid is null or s.id = $3)
order by s.next_fire, s.id
limit $2
for update skip locked
