#!/bin/sh
# D1: nginx is told to read its configuration before kubelet has brought the new one.
set -eu
. "${0%/*}/lib.sh"

take_up() {
  for pod in $(fronts); do reload "$pod"; done
}

. "${0%/*}/flow.sh"
