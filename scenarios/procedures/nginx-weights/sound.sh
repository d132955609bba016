#!/bin/sh
# The sound form.
set -eu
. "${0%/*}/lib.sh"

. "${0%/*}/flow.sh"
