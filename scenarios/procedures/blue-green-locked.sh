#!/bin/sh
# blue-green.sh behind a lock that only a release that ends takes away.
set -eu
kubectl create configmap release-lock
"${0%/*}/blue-green.sh"
kubectl delete configmap release-lock
