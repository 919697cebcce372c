-- Every budget on the way, locked in the order of ids: two that share budgets cannot deadlock.
select * from budget where tenant_id = $1 and id = any($2) order by id for update
