-- Every card that is valid somewhere in the span and prices at least one of the meters, with those
-- prices alone. Which card decides is the domain's question.
select c.*, p.provider, p.model, p.meter, p.amount, p.per_units
from rate_card c
join rate_card_price p on p.rate_card_id = c.id
join unnest($2::text[], $3::text[], $4::text[]) as wanted (provider, model, meter)
  on (p.provider, p.model, p.meter) = (wanted.provider, wanted.model, wanted.meter)
where c.tenant_id = $1
  and c.valid_from <= $6
  and (c.valid_to is null or c.valid_to > $5)
order by c.id
