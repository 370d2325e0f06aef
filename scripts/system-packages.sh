#!/bin/sh
# Install the system packages that the embedded lake needs (Debian and its kin). Quick when nothing is missing.
#
#   scripts/system-packages.sh           all: PostgreSQL with pgSphere, memcached, what makes Python environments
#   scripts/system-packages.sh python    only what makes Python environments
set -eu

case "${1:-all}" in
    all) wanted="python3-venv postgresql-15 postgresql-15-pgsphere memcached" ;;
    python) wanted="python3-venv" ;;
    *) echo "usage: $0 [all|python]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "system-packages: this is no Debian; install by hand what these hold: $wanted" >&2
    exit 3
fi

missing=""
for package in $wanted; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root="env"
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n env"
else
    echo "system-packages: missing:$missing" >&2
    echo "system-packages: run as root: apt-get install$missing" >&2
    exit 3
fi

install() {
    echo "system-packages: installing $*" >&2
    # What is installed starts no server: the lake runs its own.
    $as_root DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@" >&2
}

echo "system-packages: missing:$missing" >&2
$as_root apt-get update -qq >&2

# A first installation of PostgreSQL makes a system-wide cluster, which the lake has no use for. Debian's own switch
# against that is set only where nobody has made a cluster or chosen otherwise.
settings=/etc/postgresql-common/createcluster.conf
case "$missing" in
    *postgresql-15*)
        install postgresql-common
        if [ ! -e /etc/postgresql/15 ] && ! grep -qs '^[[:space:]]*create_main_cluster' "$settings"; then
            echo "system-packages: no system-wide cluster is made (create_main_cluster = false in $settings)" >&2
            $as_root sh -c "echo 'create_main_cluster = false' >> '$settings'"
        fi
        ;;
esac

# shellcheck disable=SC2086  # a list of package names
install $missing
