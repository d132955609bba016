#!/bin/sh
# B3: whatever is not 2xx counts as an error.
set -eu
. "${0%/*}/lib.sh"

errors() {
  ask "100 * (($(of_canary 'shop_requests_total{track="canary",code!~"2.."}') or vector(0)) / $(of_canary 'shop_requests_total{track="canary"}'))" | value_of
}

. "${0%/*}/flow.sh"
