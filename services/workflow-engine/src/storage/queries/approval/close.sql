-- How an approval ended. Only a pending one can end; a second end is no row.
update approval
set state = $3, decided_by = $4, decided_by_name = $5, comment = $6, decide_time = $7
where tenant_id = $1 and id = $2 and state = 'PENDING'
