#!/bin/sh
# A6: nothing is noted of a switch that is not verified, and what failed is left running.
set -eu
. "${0%/*}/lib.sh"

unverified() { :; }
switch_to() { kubectl patch service "$app" -p "{\"spec\":{\"selector\":{\"colour\":\"$1\"}}}"; }
settle() { :; }

. "${0%/*}/flow.sh"
