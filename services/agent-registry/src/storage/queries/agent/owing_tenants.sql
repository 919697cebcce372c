-- Tenants with agents whose silence would mean something: they are told when it does not for a while.
select distinct tenant_id from agent
where state in ('STARTING', 'ACTIVE', 'DRAINING', 'STOPPING')
