-- Forgets what is left of the rates of a limit, whose allowances begin with $2.
delete from limit_bucket where tenant_id = $1 and starts_with(allowance, $2)
