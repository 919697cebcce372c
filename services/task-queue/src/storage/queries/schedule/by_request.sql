-- The schedule that a request id had created, and for what.
select id, digest from schedule where tenant_id = $1 and request_id = $2
