-- Failed attempts of a task, or of the tasks of a workflow's run, newest first, up to a position.
select * from event
where tenant_id = $1 and type in ('task.failed', 'task.timed_out') and position <= $4
    and (($2 <> '' and resource_id = $2) or ($3 <> '' and data #>> '{origin,resource_id}' = $3))
order by position desc
limit $5
