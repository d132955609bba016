#!/bin/sh
# Releases a StatefulSet that replaces no pod by itself, as a drain of its nodes would:
# pod after pod is evicted, goes as soon as the budget lets it, and has to be back and
# ready before the next one.
set -eu
ns=$CUTOVER_NAMESPACE
app=$CUTOVER_SERVICE
patience=${PATIENCE:-30} # seconds for each pod; ten minutes in production

die() { echo "$*" >&2; exit 1; }

# evict POD asks until it may go.
evict() {
  for n in $(seq "$patience"); do
    kubectl create --raw "/api/v1/namespaces/$ns/pods/$1/eviction" -f - <<JSON && return 0
{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "$1", "namespace": "$ns"}}
JSON
    sleep 1
  done
  die "$1 was not let go within $patience s"
}

# renewed POD: it is of the new revision, and ready.
renewed() {
  now=$(kubectl get pod "$1" --ignore-not-found -o "jsonpath={.metadata.labels.controller-revision-hash} {.status.conditions[?(@.type=='Ready')].status}")
  [ "$now" = "$revision True" ]
}

await_renewed() {
  for n in $(seq "$patience"); do
    ! renewed "$1" || return 0
    sleep 1
  done
  die "$1 was not ready again within $patience s"
}

generation=$(kubectl patch statefulset "$app" -o 'jsonpath={.metadata.generation}' \
  -p "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"app\",\"image\":\"$CUTOVER_CANDIDATE_IMAGE\",\"env\":$CANDIDATE_ENV}]}}}}")
kubectl wait "statefulset/$app" --for="jsonpath={.status.observedGeneration}=$generation" --timeout=20s
revision=$(kubectl get statefulset "$app" -o 'jsonpath={.status.updateRevision}')
for ordinal in $(seq $((CUTOVER_REPLICAS - 1)) -1 0); do
  evict "$app-$ordinal"
  await_renewed "$app-$ordinal"
done
echo "release complete: all pods are of $revision"
