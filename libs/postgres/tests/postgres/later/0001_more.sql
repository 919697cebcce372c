-- A part that a later version of the schema adds, for the tests of this crate.
create table more (id uuid primary key);
