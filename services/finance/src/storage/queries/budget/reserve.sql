-- All of them or, by the caller's count, none.
update budget set reserved = reserved + $3
where tenant_id = $1 and id = any($2) and spent + reserved + $3 <= cap
