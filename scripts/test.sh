#!/bin/sh
# All tests: first what may share the machine, on two workers, then what measures time, alone.
set -eu
workers=$1
python=.venv/bin/python
status=0
$python -m pytest -q -n "$workers" --dist loadfile -m "not e2e and not browser" tests || status=1
$python -m pytest -q -p no:randomly -m "e2e or browser" tests || status=1
exit $status
