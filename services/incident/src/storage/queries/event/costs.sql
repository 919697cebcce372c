-- What finance booked for these tasks, as it told in its events, by currency. An amount that is no
-- decimal is left out: a report is not the place to fail for it.
select
    sum(case when data #>> '{cost,amount}' ~ '^-?[0-9]{1,20}([.][0-9]{1,20})?$'
        then (data #>> '{cost,amount}')::numeric end)::text as amount,
    data #>> '{cost,currency_code}' as currency_code
from event
where tenant_id = $1 and type = 'usage.recorded' and data->>'task_id' = any ($2)
group by 2
