#!/bin/sh
# B6: a step is slept through, and then looked at once, over as long a time.
set -eu
. "${0%/*}/lib.sh"

# 300 s and 5m in production.
observe() {
  sleep "${SLEEP:-15}"
  window=${SLEEP:-15}s
  [ "$(look)" = good ]
}

. "${0%/*}/flow.sh"
