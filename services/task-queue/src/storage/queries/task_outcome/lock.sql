-- Locks outcomes in the order of their ids, so that what redrives them and what discards them take
-- turns. What it is about is read afterwards, in a statement that sees what the one before wrote.
select task_id from task_outcome
where task_id = any ($1) and tenant_id = $2
order by task_id
for update
