#!/bin/sh
# B4: the canary is deleted, and only when its pods are gone the route is restored.
set -eu
. "${0%/*}/lib.sh"

roll_back() {
  retire canary
  kubectl wait pod -l "app=$app,track=canary" --for=delete --timeout=30s
  shift_to 0
}

. "${0%/*}/flow.sh"
