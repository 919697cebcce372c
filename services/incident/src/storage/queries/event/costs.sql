-- What finance booked for these tasks, as it told in its events.
select data->'cost'->>'amount' as amount, data->'cost'->>'currency_code' as currency_code
from event
where tenant_id = $1 and type = 'usage.recorded' and data->>'task_id' = any ($2)
order by position
limit 10000
