#!/bin/sh
# A1: the colour that is to be cleaned up is worked out from the target, after the switch.
set -eu
. "${0%/*}/lib.sh"

retire() { kubectl delete deployment "$app-$next" --ignore-not-found; }

. "${0%/*}/flow.sh"
