#!/bin/sh
# First what may share the machine, on two workers, then what starts the real processes, alone.
# Long simulations and kill loops are marked slow: `make slow`.
set -eu
workers=$1
python=.venv/bin/python
status=0
$python -m pytest -q -n "$workers" --dist loadfile -m "not e2e and not browser and not slow" tests || status=1
# A run of its own: the browser driver keeps an event loop of its own.
$python -m pytest -q -p no:randomly -m "not slow" tests/browser || status=1
$python -m pytest -q -p no:randomly -m "not slow" tests/e2e || status=1
exit $status
