-- Which schedules' time it is, to handle each alone.
select id from schedule where next_fire <= $1 order by next_fire, id limit $2
