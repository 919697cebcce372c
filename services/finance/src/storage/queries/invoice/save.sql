-- Only facts change, never what is billed; compare-and-set on the version.
update invoice i
set version = i.version + 1, status = s.status, fiscal_year = s.fiscal_year, number = s.number,
    number_text = s.number_text, paid_minor = s.paid_minor, refunded_minor = s.refunded_minor,
    issue_time = s.issue_time, view_time = s.view_time, due_time = s.due_time,
    paid_time = s.paid_time, cancel_time = s.cancel_time, cancel_reason = s.cancel_reason
from jsonb_populate_recordset(null::invoice, $1) as s
where i.tenant_id = s.tenant_id and i.id = s.id and i.version = s.version
