select c.provider, c.model, c.meter, c.amount, c.per_units,
       sum(c.quantity) as quantity, sum(c.cost) as cost
from usage_record u
join usage_charge c on c.usage_id = u.id
where u.tenant_id = $1 and u.invoice_id = $2
group by c.provider, c.model, c.meter, c.amount, c.per_units
-- Models before resources, and the same order every time.
order by c.model = '', c.provider, c.model, c.meter, c.amount, c.per_units
