-- News that could not be applied, kept for people to look at.
insert into dead_news (tenant_id, execution_id, step_id, attempt, sequence, cause)
values ($1, $2, $3, $4, $5, $6)
