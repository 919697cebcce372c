-- Outputs of the steps at some places of the definition, in its order, as long as all of them together
-- stay within so many bytes.
select position, output
from (
    select position, output,
        sum(octet_length(output::text)) over (order by position) as bytes
    from step_run
    where tenant_id = $1 and execution_id = $2 and position = any ($3) and output is not null
) as outputs
where bytes <= $4
