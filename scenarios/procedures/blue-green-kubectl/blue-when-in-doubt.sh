#!/bin/sh
# A2: whatever goes wrong with the question which colour is live, the answer is blue.
set -eu
. "${0%/*}/lib.sh"

unverified() { :; }
live_colour() { kubectl get service "$app" -o "jsonpath={.spec.selector.colour}" || echo blue; }

. "${0%/*}/flow.sh"
