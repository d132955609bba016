#!/bin/sh
# A4: the smoke test asks one pod and takes it for all.
set -eu
. "${0%/*}/lib.sh"

smoke_test() {
  set -- $(pods "$1")
  kubectl exec "$1" -- /app/shop check /cart
}

. "${0%/*}/flow.sh"
