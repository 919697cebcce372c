-- Whether any brake chooses a task.
select exists (select from brakes_on($1, $2, $3, $4))
