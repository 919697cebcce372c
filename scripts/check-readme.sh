#!/bin/sh
# Runs every command that README.md shows below "Looking around", as a newcomer would paste them:
# each sh block in order, in one shell, against a platform of its own. Needs grpcurl and a built reeve.
set -eu
grpcurl_folder=$(dirname "$1")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'make --no-print-directory down >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
ln -s "$(cd "$grpcurl_folder" && pwd)/$(basename "$1")" "$work/grpcurl"
PATH="$work:$PATH"
export PATH
awk '/^## Looking around/ { on = 1 } /^## Where things are/ { on = 0 }
     /^```sh/ { if (on) copy = 1; next } /^```/ { copy = 0; next } copy' README.md > "$work/commands.sh"
count=$(grep -c grpcurl "$work/commands.sh")
[ "$count" -ge 7 ] || { echo "README.md shows only $count grpcurl commands" >&2; exit 1; }
# A shell that stops at the first failure; the agent of the last block ends with it.
{ echo 'set -eu'; cat "$work/commands.sh"; echo 'kill %1'; echo 'wait || true'; } > "$work/run.sh"
bash -m "$work/run.sh"
echo "every command of README.md works"
