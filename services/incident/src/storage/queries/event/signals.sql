-- Events that some rule of the tenant looks for, behind the rules' cursor. The index by type finds
-- them among thousands that no rule looks for.
select * from event
where tenant_id = $1 and type = any ($2) and position > $3 and position <= $4
order by position
limit $5
