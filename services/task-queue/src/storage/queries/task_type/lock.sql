-- One type, which nobody else changes until the end of the transaction.
select * from task_type where tenant_id = $1 and name = $2 for update
