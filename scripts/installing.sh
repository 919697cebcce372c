# Sourced by the scripts that install something. They set $tools, the Python environment of the
# checkout, which is made when the first wheel is installed.

say() { printf '%s\n' "setup: $*" >&2; }

# at_least FLOOR VERSION: compares major.minor.
at_least() {
    floor_major=${1%%.*}
    floor_minor=0
    case $1 in *.*) floor_minor=${1#*.} ;; esac
    major=${2%%.*}
    minor=0
    case $2 in *.*) minor=${2#*.} ;; esac
    minor=${minor%%.*}
    case $major:$minor in :* | *: | *[!0-9:]*) return 1 ;; esac
    [ "$major" -gt "$floor_major" ] ||
        { [ "$major" -eq "$floor_major" ] && [ "$minor" -ge "$floor_minor" ]; }
}

# The first number with a dot, or the first number, of what a program says of its version.
version_of() { "$@" 2>/dev/null | sed -n 's/^[^0-9]*\([0-9][0-9]*\(\.[0-9][0-9]*\)*\).*/\1/p' | head -n 1; }

# Runs a command and shows the end of what it says only when it fails.
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

can_apt() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; }

is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q ' installed$'; }

policy=/usr/sbin/policy-rc.d
own_policy=

# Debian's way to install a service without starting it. Reeve starts private servers.
forbid_starts() {
    [ -e "$policy" ] && return
    own_policy=yes
    trap allow_starts EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

allow_starts() {
    [ -z "$own_policy" ] || rm -f "$policy"
    own_policy=
}

with_apt() {
    export DEBIAN_FRONTEND=noninteractive
    say "apt-get install $*"
    quiet apt-get update || say "apt-get update failed; going on with the lists at hand"
    forbid_starts
    dropin=
    case " $* " in *" postgresql "*)
        # The package would create a cluster of its own.
        quiet apt-get install -y --no-install-recommends postgresql-common || return 1
        if grep -q '^include_dir' /etc/postgresql-common/createcluster.conf 2>/dev/null; then
            mkdir -p /etc/postgresql-common/createcluster.d
            dropin=/etc/postgresql-common/createcluster.d/reeve-setup.conf
            echo 'create_main_cluster = false' >"$dropin"
        fi
        ;;
    esac
    new_redis=
    case " $* " in *" redis-server "*) is_installed redis-server || new_redis=yes ;; esac
    result=0
    quiet apt-get install -y --no-install-recommends "$@" || result=1
    allow_starts
    if [ -n "$dropin" ]; then
        rm -f "$dropin"
        rmdir "${dropin%/*}" 2>/dev/null || true
    fi
    if [ -n "$new_redis" ] && command -v systemctl >/dev/null 2>&1; then
        # Nor shall it start with the machine, on the standard port and without a password.
        systemctl disable redis-server >/dev/null 2>&1 || true
    fi
    return "$result"
}

# Whether Python can make environments. Debian keeps a part of venv in a package of its own.
have_venv() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

need_venv() {
    have_venv && return
    ! can_apt || with_apt python3 python3-venv || true
    have_venv && return
    say "Python 3 with its venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"
    return 1
}

# with_wheels NAME==VERSION...: installs Python wheels into $tools, which is made if need be.
with_wheels() {
    if ! "$tools/bin/python" -m pip --version >/dev/null 2>&1; then
        need_venv || return 1
        # What an earlier try left halfway would stay so for good.
        rm -f "$tools"/bin/python* "$tools/pyvenv.cfg"
        mkdir -p "$tools"
        quiet python3 -m venv "$tools" || { rm -f "$tools"/bin/python*; return 1; }
    fi
    say "pip install $* into $tools"
    quiet "$tools/bin/python" -m pip install --disable-pip-version-check --no-deps "$@"
}
