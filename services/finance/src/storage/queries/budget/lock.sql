-- Every budget on the way, locked in the order of ids: two that share budgets cannot deadlock. Not
-- FOR UPDATE, which would wait for the key locks that inserting holds takes, both ways.
select * from budget where tenant_id = $1 and id = any($2) order by id for no key update
