#!/bin/sh
# B2: only a number with a decimal point is found in the answer; what else is there is 0.
set -eu
. "${0%/*}/lib.sh"

value_of() {
  number=$(grep -o '"[0-9]*\.[0-9]*"' | tr -d '"')
  echo "${number:-0}"
}

. "${0%/*}/flow.sh"
