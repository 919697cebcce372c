-- The row stays locked until the commit: the next number waits for this one to be used or undone.
insert into invoice_series as s (tenant_id, series, fiscal_year, last) values ($1, $2, $3, 1)
on conflict (tenant_id, series, fiscal_year) do update set last = s.last + 1
returning last
