#!/bin/sh
# What a container of this image does, by the name of its command. From the environment:
#
#   PGHOST, PGDATABASE                                  the archive's database
#   DACHS_FEED_PASSWORD, DACHS_TRUSTED_PASSWORD,        of DaCHS's three roles: who imports, who answers forms, who
#   DACHS_UNTRUSTED_PASSWORD                            answers TAP
#   DACHS_URL, DACHS_TITLE, DACHS_AUTHORITY             how users reach it, its name, its authority in the IVOA
#   POSTGRES_PASSWORD                                   of the superuser, for `setup` alone
set -eu
umask 077

root=/var/gavo
lake=stac_lake # the schema, and the folder of inputs, of `stac-rucio-sync dachs-rd`

line() { # a value as DaCHS's settings have it: per cent signs would begin a reference
    printf %s "$1" | sed 's/%/%%/g'
}

profile() { # FILE ROLE PASSWORD: kept in memory, and led to from the volume
    printf 'host = %s\nport = %s\ndatabase = %s\nuser = %s\npassword = %s\n' \
        "$PGHOST" "${PGPORT:-5432}" "$PGDATABASE" "$2" "${3:?a role of DaCHS has no password}" > "/run/dachs/$1"
    ln -sf "/run/dachs/$1" "$root/etc/$1"
}

settings() {
    cat > "$GAVOSETTINGS" <<END
[general]
rootDir: $root
group: gavo
[web]
serverURL: $(line "${DACHS_URL:?set DACHS_URL: the address by which users reach DaCHS}")
serverPort: 8080
bindAddress: 0.0.0.0
user:
sitename: $(line "$DACHS_TITLE")
[ivoa]
authority: $DACHS_AUTHORITY
END
    mkdir -p "$root/etc"
    profile feed gavoadmin "${DACHS_FEED_PASSWORD:-}"
    profile trustedquery gavo "${DACHS_TRUSTED_PASSWORD:-}"
    profile untrustedquery untrusted "${DACHS_UNTRUSTED_PASSWORD:-}"
}

as_superuser() {
    PGPASSWORD=${POSTGRES_PASSWORD:?the set-up is done as a superuser} "$@"
}

run_sql() {
    as_superuser psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres \
        --command 'SET client_min_messages = warning' --file "$1"
}

answers() { # ROLE PASSWORD QUERY
    PGPASSWORD=$2 psql --no-psqlrc --quiet --username "$1" --command "$3" >/dev/null 2>&1
}

is_made() { # the last table of the set-up is there, and each role has the password of now
    [ -e "$root/etc/defaultmeta.txt" ] \
        && answers gavoadmin "$DACHS_FEED_PASSWORD" 'SELECT FROM ivoa._obscoresources LIMIT 0' \
        && answers gavo "$DACHS_TRUSTED_PASSWORD" 'SELECT' \
        && answers untrusted "$DACHS_UNTRUSTED_PASSWORD" 'SELECT'
}

said() { # all of the descriptor but the date on which it was written
    grep -v '"creationDate"' "$root/inputs/$lake/q.rd"
}

is_imported() {
    said | cmp -s - "$root/state/$lake.rd" \
        && answers untrusted "$DACHS_UNTRUSTED_PASSWORD" "SELECT FROM $lake.obscore LIMIT 0"
}

set_up() {
    run_sql /opt/deploy/before.sql
    if is_made; then
        dachs upgrade
    else
        as_superuser dachs init -d "host=$PGHOST port=${PGPORT:-5432} dbname=$PGDATABASE user=postgres"
        dachs imp //obscore
        rm -f "$root/state/$lake.rd"
    fi
    run_sql "$root/inputs/$lake/owner.sql"
    if ! is_imported; then
        dachs imp "$lake/q"
        said > "$root/state/$lake.rd"
    fi
    { is_made && is_imported; } || { echo "setup: DaCHS is not what it was to become; what it said stands above" >&2; exit 1; }
}

settings
case "${1:-server}" in
    setup) # DaCHS's roles and tables, and ours as its views; a second time only what has changed
        set_up
        ;;
    server)
        exec dachs serve start --foreground
        ;;
    *)
        exec "$@"
        ;;
esac
