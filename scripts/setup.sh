#!/bin/sh
# Make .venv with exactly what requirements.lock names, and the project itself on top.
# Needs only Python 3.11+; on Debian/Ubuntu without python3-venv it installs that when it may.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

find_python() {
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and was not found; set PYTHON=/path/to/python3.11"
}

make_venv() {
    if "$1" -m venv .venv >/dev/null 2>&1; then return; fi
    rm -rf .venv
    say "python3-venv is missing, installing it"
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    sudo=""
    if [ "$(id -u)" != 0 ]; then sudo="sudo -n"; fi
    command -v apt-get >/dev/null 2>&1 || fail "no venv module; install python3-venv and run again"
    $sudo apt-get update -qq >/dev/null 2>&1 || true
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "python$version-venv" >/dev/null 2>&1 ||
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null 2>&1 ||
        fail "could not install python3-venv; install it and run again"
    "$1" -m venv .venv
}

stamp=.venv/.lock-installed
if [ -f "$stamp" ] && cmp -s "$stamp" requirements.lock; then exit 0; fi

python=$(find_python)
# A folder that was moved or copied has scripts that point elsewhere: make it anew.
[ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null || { rm -rf .venv; make_venv "$python"; }
say "installing the locked packages into .venv (a minute or two, once)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock 2>.venv/pip.log ||
    { tail -n 20 .venv/pip.log >&2; fail "the packages could not be installed"; }
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable . 2>.venv/pip.log ||
    { tail -n 20 .venv/pip.log >&2; fail "the project could not be installed"; }
cp requirements.lock "$stamp"
