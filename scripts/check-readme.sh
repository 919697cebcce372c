#!/bin/sh
# Runs every command that README.md shows below "Looking around", as a newcomer would paste them:
# each sh block in order, in one shell. They get a platform of their own, in a folder that REEVE_HOME
# names, so that one which runs in this checkout goes on. Needs grpcurl and a built reeve.
set -eu
grpcurl_folder=$(dirname "$1")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
# Root runs the servers as another user, who must reach them.
chmod 755 "$work"
export REEVE_HOME="$work/home"
trap 'make --no-print-directory down >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
# What a shell has sourced from another Reeve would lead there.
unset REEVE_API_KEY REEVE_AGENT_REGISTRY REEVE_TASK_QUEUE REEVE_WORKFLOW_ENGINE REEVE_FINANCE \
    REEVE_INCIDENT
ln -s "$(cd "$grpcurl_folder" && pwd)/$(basename "$1")" "$work/grpcurl"
PATH="$work:$PATH"
export PATH
awk '/^## Looking around/ { on = 1 } /^## Where things are/ { on = 0 }
     /^```sh/ { if (on) copy = 1; next } /^```/ { copy = 0; next } copy' README.md |
    sed "s|\.reeve/env|$REEVE_HOME/env|" > "$work/commands.sh"
count=$(grep -c grpcurl "$work/commands.sh")
[ "$count" -ge 7 ] || { echo "README.md shows only $count grpcurl commands" >&2; exit 1; }
# A shell that stops at the first failure; the agent of the last block ends with it.
{ echo 'set -eu'; cat "$work/commands.sh"; echo 'kill %1'; echo 'wait || true'; } > "$work/run.sh"
bash -m "$work/run.sh"
echo "every command of README.md works"
