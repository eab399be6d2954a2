#!/bin/sh
# Flagger's Canary is called like the service, its namespace like the environment. Called by
# script_receiver.py: ACTION ENVIRONMENT SERVICE RELEASE_VERSION TARGET_VERSION TARGET_DIGEST
set -eu
action=$1 namespace=$2 canary=$3
loadtester=${LOADTESTER_URL:-http://flagger-loadtester.test}

phase() {
    kubectl get canary "$canary" --namespace "$namespace" --output 'jsonpath={.status.phase}'
}

gate() {
    curl --fail --silent --show-error --max-time 10 --output /dev/null \
        --data "{\"name\": \"$canary\", \"namespace\": \"$namespace\"}" "$loadtester/$1"
}

case $action in
rollback) gate=rollback wanted=Failed ;;
promotion) gate=gate wanted=Succeeded ;;
esac
now=$(phase)
case $now in
"$wanted")
    gate "$gate/close" # an earlier run may have been cut off before it could
    exit 0
    ;;
Failed | Succeeded | Initialized)
    echo "$namespace/$canary is $now: there is no canary to act on" >&2
    exit 1
    ;;
esac
gate "$gate/open"
code=0
kubectl wait "canary/$canary" --namespace "$namespace" \
    --for "jsonpath={.status.phase}=$wanted" --timeout 240s || code=$?
gate "$gate/close" # left open, it would decide about the next release too
exit $code
