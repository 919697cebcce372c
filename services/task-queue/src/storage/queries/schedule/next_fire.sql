-- When the next schedule's time comes.
select min(next_fire) from schedule where next_fire is not null
