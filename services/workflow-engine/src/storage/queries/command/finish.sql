-- Commands that were carried out, of all tenants.
delete from command where id = any ($1)
