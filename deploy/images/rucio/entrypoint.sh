#!/bin/sh
# What a container of this image does, by the name of its command.
set -eu

serve() {
    exec gunicorn --worker-tmp-dir /dev/shm --graceful-timeout 5 --timeout 600 --log-level warning \
        --worker-class gthread --threads "${THREADS:-8}" --keep-alive 30 "$@"
}

case "${1:-server}" in
    setup) # tables, accounts, RSEs: what the JSON files that follow say; a second time changes nothing
        shift
        python /opt/lake/configure.py
        for wanted in "$@"; do
            python /opt/lake/prepare.py "$wanted"
        done
        ;;
    server) # Rucio's REST server
        python /opt/lake/configure.py
        serve --workers "${WORKERS:-2}" --bind 0.0.0.0:8080 rucio.web.rest.flaskapi.v1.main:application
        ;;
    daemons) # judge, conveyor with the transfer agent, reaper, undertaker, abacus, hermes
        python /opt/lake/configure.py
        exec python /opt/lake/guest/daemons.py
        ;;
    files) # folders to be read over HTTP, one port each
        serve --workers 1 $(python -c 'import json, os; print(*(f"--bind=0.0.0.0:{port}" for port in json.loads(os.environ["LAKE_FOLDERS"])))') \
            files:application
        ;;
    webdav) # folders to be written over WebDAV
        serve --workers 1 --bind 0.0.0.0:8080 webdav:application
        ;;
    rucio-*) # one of Rucio's own daemons or tools, by its name
        python /opt/lake/configure.py
        exec "$@"
        ;;
    *)
        exec "$@"
        ;;
esac
