#!/bin/sh
# A7: the selector moves, and the old pods go at once.
set -eu
. "${0%/*}/lib.sh"

pre_stop=0
verify() { :; }
settle() { :; }

. "${0%/*}/flow.sh"
