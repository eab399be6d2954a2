#!/bin/sh
# Print the path of a Chromium; install Debian's when there is none and it may be. Prints nothing
# (and says why on standard error) when there is none to be had: browser tests are then skipped.
set -eu

find_chromium() {
    for name in ${DAVYLAMP_CHROMIUM:-} chromium chromium-browser; do
        if command -v "$name" >/dev/null 2>&1; then command -v "$name"; return 0; fi
    done
    return 1
}

find_chromium && exit 0
sudo=""
if [ "$(id -u)" != 0 ]; then sudo="sudo -n"; fi
if command -v apt-get >/dev/null 2>&1; then
    echo "setup: installing Debian's chromium for the browser tests" >&2
    $sudo apt-get update -qq >/dev/null 2>&1 || true
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null 2>&1 || true
fi
find_chromium || echo "setup: no chromium; browser tests will be skipped" >&2
