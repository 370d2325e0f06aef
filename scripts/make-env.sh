#!/bin/sh
# Write .env for docker-compose.yml: a new random password for each name that it has none for yet.
#
#   scripts/make-env.sh [FILE]      default: .env at the root of the checkout
#
# What stands in the file stays: run it again after an upgrade, and only what is new is added.
set -eu
umask 077

file="${1:-$(dirname "$0")/../.env}"
secrets="POSTGRES_PASSWORD RUCIO_DATABASE_PASSWORD SYNC_DATABASE_PASSWORD TAP_DATABASE_PASSWORD JOBS_DATABASE_PASSWORD
LINKS_DATABASE_PASSWORD RUCIO_ROOT_PASSWORD RUCIO_INGEST_PASSWORD RUCIO_ALICE_PASSWORD EVENTS_TOKEN JUPYTER_TOKEN
DACHS_FEED_PASSWORD DACHS_TRUSTED_PASSWORD DACHS_UNTRUSTED_PASSWORD"

if [ ! -e "$file" ]; then
    cat > "$file" <<'END'
# Made by scripts/make-env.sh. It holds passwords: keep it out of git and readable to nobody else.
# The address by which users reach the services, and their name:
SERVICES_URL=http://127.0.0.1:8080
SERVICES_TITLE=stac-rucio-sync
# Where ports are published; a reverse proxy on this machine brings TLS.
PUBLISH_ADDRESS=127.0.0.1
END
fi
chmod 600 "$file"

added=""
for name in $secrets; do
    if ! grep -q "^$name=." "$file"; then
        value=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
        [ "${#value}" -eq 48 ] || { echo "make-env: /dev/urandom gave too little" >&2; exit 3; }
        # An empty value would stand before ours, and docker-compose takes the last: it is replaced.
        rest=$(grep -v "^$name=" "$file" || true)
        printf '%s\n%s=%s\n' "$rest" "$name" "$value" > "$file.part"
        mv "$file.part" "$file"
        added="$added $name"
    fi
done
if [ -n "$added" ]; then
    echo "make-env: $file: new values for$added" >&2
else
    echo "make-env: $file is complete" >&2
fi
