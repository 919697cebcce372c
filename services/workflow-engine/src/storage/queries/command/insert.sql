-- What a transition wants task-queue to be asked. Ids follow the order of the list.
insert into command (tenant_id, execution_id, step_id, attempt, kind, body, next_time)
select $1, $2, command.value ->> 'step_id', (command.value ->> 'attempt')::integer,
    command.value ->> 'kind', command.value -> 'body', $4
from jsonb_array_elements($3) with ordinality as command (value, place)
order by command.place
on conflict (execution_id, step_id, attempt, kind) do nothing
