-- What a task's attempts have made.
select attempt, name, uri, media_type, size_bytes, sha256, create_time
from task_artifact
where task_id = $1 and tenant_id = $2
order by attempt, position
