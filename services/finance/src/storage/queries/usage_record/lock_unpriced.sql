-- What could not be priced, where a card was stored since it was tried. A minute is looked back,
-- since a card may be committed a little after the time that it bears.
select u.* from usage_record u
where u.status = 'UNPRICED'
  and u.price_time < $1
  and exists (
      select from rate_card c
      where c.tenant_id = u.tenant_id and c.create_time > u.price_time - interval '1 minute')
order by u.id
limit $2
for no key update skip locked
