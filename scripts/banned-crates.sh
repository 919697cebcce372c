#!/bin/sh
# Fails when Cargo.lock holds a crate that deny.toml bans. cargo-deny does the same and more, but
# takes minutes to install.
set -eu
cd "$(dirname -- "$0")/.."

banned=$(sed -n 's/^ *{ crate = "\([^"]*\)".*/\1/p' deny.toml)
[ -n "$banned" ] || { echo "deny.toml names no banned crate: has its form changed?" >&2; exit 1; }
status=0
for crate in $banned; do
    if grep -q "^name = \"$crate\"\$" Cargo.lock; then
        echo "Cargo.lock holds $crate, which deny.toml bans; cargo tree --invert $crate shows why" >&2
        status=1
    fi
done
exit "$status"
