#!/bin/sh
# Releases lie in $RELEASES/SERVICE/VERSION; "current" is a link to the one that runs. Called by
# script_receiver.py: ACTION ENVIRONMENT SERVICE RELEASE_VERSION TARGET_VERSION TARGET_DIGEST
set -eu
service=$3 target=$5
cd "${RELEASES:?the folder of all services}/$service"
test -d "$target"
ln -sfn "$target" current.next
mv -T current.next current # at once: nobody sees no release
if [ -n "${RESTART:-}" ]; then
    "$RESTART" "$service"
fi
