#!/bin/sh
# Install the system packages that the embedded lake needs (Debian and its kin). Quick when nothing is missing.
#
#   scripts/system-packages.sh           all: PostgreSQL with pgSphere, memcached, what makes Python environments
#   scripts/system-packages.sh python    only what makes Python environments
#   scripts/system-packages.sh pgstac    only PostGIS, for the tests on a pgstac server
#   scripts/system-packages.sh slurm     only SLURM, for the tests on a cluster of its jobs
#   scripts/system-packages.sh dachs     only other front ends: DaCHS without its service and cluster, the CDS's ADQL library
#   scripts/system-packages.sh clients   only what tests ask as clients: STILTS, of the Virtual Observatory, git and Git LFS
set -eu

case "${1:-all}" in
    all) wanted="python3-venv postgresql-15 postgresql-15-pgsphere memcached" ;;
    python) wanted="python3-venv" ;;
    pgstac) wanted="postgresql-15-postgis-3" ;;
    slurm) wanted="munge slurm-client slurmctld slurmd" ;;
    dachs) wanted="python3-gavo postgresql-15-q3c adql-java openjdk-17-jdk-headless" ;;
    clients) wanted="stilts git git-lfs" ;;
    *) echo "usage: $0 [all|python|pgstac|slurm|dachs|clients]" >&2; exit 2 ;;
esac

say() {
    echo "system-packages: $*" >&2
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    say "this is no Debian; install by hand what these hold: $wanted"
    exit 3
fi

missing=""
for package in $wanted; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
say "missing:$missing"

# Without a terminal to ask for a password on, sudo is of use only where it needs none.
may_sudo() {
    command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }
}

if [ "$(id -u)" -eq 0 ]; then
    as_root="env"
elif may_sudo; then
    as_root="sudo env"
else
    say "this takes root: run \`make system\` as root once, or have them installed (apt-get install$missing)"
    exit 3
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Runs a command as root; what it says is shown only when it fails.
quietly() {
    if ! $as_root DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        say "failed: $*"
        exit 3
    fi
}

install() {
    say "installing $*"
    quietly apt-get install -y -qq --no-install-recommends "$@"
}

say "reading the lists of packages"
quietly apt-get update -qq

# A first installation of PostgreSQL makes a system-wide cluster, which the lake has no use for. Debian's own switch
# against that is set only where nobody has made a cluster or chosen otherwise.
settings=/etc/postgresql-common/createcluster.conf
case "$missing" in
    *postgresql-15*)
        install postgresql-common
        if [ ! -e /etc/postgresql/15 ] && ! grep -qs '^[[:space:]]*create_main_cluster' "$settings"; then
            say "no system-wide cluster is made (create_main_cluster = false in $settings)"
            quietly sh -c "echo 'create_main_cluster = false' >> '$settings'"
        fi
        ;;
esac

# shellcheck disable=SC2086  # a list of package names
install $missing

# Debian starts the service of what it installs; the lake runs a memcached of its own.
case "$missing" in
    *memcached*)
        if [ -d /run/systemd/system ]; then
            say "the system's own memcached is not needed: its service is stopped and disabled"
            quietly systemctl disable --quiet --now memcached.service
        fi
        ;;
esac
