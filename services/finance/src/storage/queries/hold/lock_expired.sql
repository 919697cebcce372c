select * from hold where state = 'HELD' and expire_time <= $1
order by expire_time limit $2 for update skip locked
