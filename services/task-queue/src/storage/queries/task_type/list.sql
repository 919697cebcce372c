-- A tenant's types after a name, of one category or, for null, of any.
select * from task_type
where tenant_id = $1 and name > $2 and ($3::smallint is null or category = $3)
order by name
limit $4
