-- Commands that are due, of all tenants: the relay's query. Claiming moves next_time ahead, so that a
-- relay that dies leaves them to another. A task that is yet to be created cannot be cancelled: such
-- a command is claimed only once its task is known or will never be.
with due as (
    select id
    from command
    where next_time <= $1
        and (kind = 'CREATE_TASK' or not exists (
            select from command as create_task
            where create_task.execution_id = command.execution_id
                and create_task.step_id = command.step_id
                and create_task.attempt = command.attempt
                and create_task.kind = 'CREATE_TASK'
        ))
    order by next_time, id
    limit $3
    for update skip locked
)
update command
set next_time = $2, tries = tries + 1
from due
where command.id = due.id
returning command.id, command.tenant_id, command.execution_id, command.step_id, command.attempt,
    command.kind, command.body::text as body, command.tries,
    (
        select task_id from dispatch
        where dispatch.execution_id = command.execution_id
            and dispatch.step_id = command.step_id
            and dispatch.attempt = command.attempt
    ) as task_id,
    exists (
        select from step_run
        where step_run.execution_id = command.execution_id
            and step_run.step_id = command.step_id
            and step_run.attempt = command.attempt
            and step_run.state in ('DISPATCHED', 'RUNNING')
    ) as is_wanted
