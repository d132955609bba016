#!/bin/sh
# D3: what is done to the Deployment's pod is done to one of two.
set -eu
. "${0%/*}/lib.sh"

take_up() {
  refresh "$1"
  await_file deployment/front "$1"
  reload deployment/front
}

. "${0%/*}/flow.sh"
