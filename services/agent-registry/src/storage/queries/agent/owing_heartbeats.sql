-- Agents of all tenants whose silence would mean something, a page at a time.
select id, epoch from agent
where state in ('STARTING', 'ACTIVE', 'DRAINING', 'STOPPING') and ($1::uuid is null or id > $1)
order by id
limit $2
