#!/usr/bin/env bash
# Print a Python >= 3.11. The system's own comes first: a lake that root starts drops its servers to another user,
# who may be unable to reach an interpreter in somebody's home.
set -euo pipefail
for candidate in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
echo "no Python >= 3.11 was found" >&2
exit 1
