select * from hold where state = 'HELD' and expire_time <= $1
order by expire_time limit $2 for no key update skip locked
