-- The row stays locked until the commit: the next number waits for this one to be used or undone.
-- Who waited has read the clock before who went first; numbers and times of issue go together.
insert into invoice_series as s (tenant_id, series, fiscal_year, last, last_issue_time)
values ($1, $2, $3, 1, $4)
on conflict (tenant_id, series, fiscal_year) do update
set last = s.last + 1, last_issue_time = greatest(s.last_issue_time, excluded.last_issue_time)
returning last, last_issue_time
