#!/bin/sh
# B7: stable is deleted, and then the canary is to take its name, which no Deployment can.
set -eu
. "${0%/*}/lib.sh"

finish() {
  retire stable
  kubectl patch deployment "$app-canary" -p "{\"metadata\":{\"name\":\"$app-stable\"},\"spec\":{\"selector\":{\"matchLabels\":{\"track\":\"stable\"}},\"template\":{\"metadata\":{\"labels\":{\"track\":\"stable\"}}}}}"
}

. "${0%/*}/flow.sh"
