#!/bin/sh
# B5: one pod takes whatever share of the users the canary gets.
set -eu
. "${0%/*}/lib.sh"

scale_for() { :; }

. "${0%/*}/flow.sh"
