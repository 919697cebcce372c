-- Outputs of the steps at some places of the definition.
select position, output
from step_run
where tenant_id = $1 and execution_id = $2 and position = any ($3) and output is not null
