#!/bin/sh
# Print the path of a Python that requirements.lock is made for; PYTHON=/path/to/python chooses one.
# The base interpreter is printed, never that of an active .venv, which set-up may have to replace.
set -u
probe='import os, sys, ensurepip, venv
sys.exit(1) if sys.version_info[:2] != (3, 11) else print(os.path.realpath(sys.executable))'

if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.11 python3 python; fi
for candidate in "$@"; do
    if "$candidate" -c "$probe" 2>/dev/null; then exit 0; fi
done

{
    echo "error: set-up: needs Python 3.11 with its modules venv and ensurepip; tried:"
    for candidate in "$@"; do
        echo "    $candidate: $("$candidate" --version 2>&1 | head -n 1)"
    done
    echo "  fix: install it (Debian, Ubuntu: apt install python3.11 python3.11-venv)," \
        "or name one: make PYTHON=/path/to/python3.11"
} >&2
exit 1
