#!/bin/sh
# B1: the query names a metric that does not exist, and an empty answer is none.
set -eu
. "${0%/*}/lib.sh"

# It is called shop_requests_total.
errors() {
  e=$(ask "100 * ($(of_canary 'shop_request_total{track="canary",code=~"5.."}') / $(of_canary 'shop_request_total{track="canary"}'))" | value_of)
  echo "${e:-0}"
}

. "${0%/*}/flow.sh"
