-- A configured key's hash follows the configured pepper. A key that a person made never does.
update api_key set secret_hash = $2
where id = $1 and created_by = 'bootstrap' and secret_hash <> $2
