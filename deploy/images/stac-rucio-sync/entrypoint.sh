#!/bin/sh
# Makes a rucio.cfg for Rucio's client where the environment has a password and no file is named, then runs the command.
set -eu
umask 077

if [ -n "${RUCIO_PASSWORD:-}" ] && [ -z "${RUCIO_CONFIG:-}" ]; then
    export RUCIO_CONFIG=/tmp/rucio.cfg
    cat > "$RUCIO_CONFIG" <<END
[client]
rucio_host = ${RUCIO_HOST:?set RUCIO_HOST: the address of the Rucio server}
auth_host = ${RUCIO_AUTH_HOST:-$RUCIO_HOST}
auth_type = userpass
username = ${RUCIO_ACCOUNT:?set RUCIO_ACCOUNT: the Rucio account}
password = $(printf %s "$RUCIO_PASSWORD" | sed 's/%/%%/g')
account = $RUCIO_ACCOUNT
auth_token_file_path = /tmp/rucio-token
request_retries = 3

[policy]
permission = generic
schema = generic
lfn2pfn_algorithm_default = hash
END
    unset RUCIO_PASSWORD
fi

exec "$@"
