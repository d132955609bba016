#!/bin/sh
# Releases a version beside the one that serves, and then has the Service select it.
# It may be run again from wherever it was stopped.
set -eu
here=${0%/*}
. "$here/blue-green-lib.sh"

live=$(kubectl get service "$CUTOVER_SERVICE" -o 'jsonpath={.spec.selector.colour}')
case $live in
  blue) next=green ;;
  green) next=blue ;;
  *) echo "the Service selects neither blue nor green but '$live'" >&2; exit 1 ;;
esac
version=$(kubectl get "deployment/$CUTOVER_SERVICE-$live" -o 'jsonpath={.spec.template.spec.containers[0].env[0].value}')
if [ "$version" = "$RELEASE" ]; then
  echo "$RELEASE serves already"
else
  deploy "$next" "$CUTOVER_CANDIDATE_IMAGE" "$RELEASE"
  for pod in $(kubectl get pods -l "app=$CUTOVER_SERVICE,colour=$next" -o 'jsonpath={.items[*].metadata.name}'); do
    kubectl get --raw "/api/v1/namespaces/$CUTOVER_NAMESPACE/pods/$pod:$CUTOVER_PORT/proxy/cart" > /dev/null
  done
  kubectl patch service "$CUTOVER_SERVICE" -p "{\"spec\":{\"selector\":{\"colour\":\"$next\"}}}"
  live=$next
fi
# What is still on its way to the old pods is served while they leave.
for colour in blue green; do
  [ "$colour" = "$live" ] || kubectl delete deployment "$CUTOVER_SERVICE-$colour" --ignore-not-found
done
