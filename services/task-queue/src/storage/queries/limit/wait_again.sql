-- Everything that waits for room in a tenant is to be looked at anew.
update limit_wait set allowance = 'again' where tenant_id = $1 and allowance <> 'again'
