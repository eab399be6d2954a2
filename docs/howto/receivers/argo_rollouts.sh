#!/bin/sh
# The Rollout is called like the service, its namespace like the environment. Called by
# script_receiver.py: ACTION ENVIRONMENT SERVICE RELEASE_VERSION TARGET_VERSION TARGET_DIGEST
set -eu
action=$1 namespace=$2 rollout=$3 release=$4 target=$5 digest=$6

field() {
    kubectl get rollout "$rollout" --namespace "$namespace" --output "jsonpath={$1}"
}

image=$(field '.spec.template.spec.containers[0].image')
case $image in
*":$target" | *"@$digest") is_target=yes ;;
*":$release" | *":$release@"*) is_target=no ;;
*)
    echo "$namespace/$rollout is to run $image: neither $release nor $target" >&2
    exit 1
    ;;
esac
if [ "$action" = promotion ]; then
    kubectl argo rollouts promote "$rollout" --namespace "$namespace" --full
elif [ "$is_target" = yes ]; then
    echo "$namespace/$rollout is back at $target already"
elif [ "$(field .status.stableRS)" = "$(field .status.currentPodHash)" ]; then
    kubectl argo rollouts undo "$rollout" --namespace "$namespace" # it was promoted meanwhile
else
    kubectl argo rollouts abort "$rollout" --namespace "$namespace"
fi
