#!/bin/sh
# D2: nobody asks nginx whether it takes the configuration, and what takes v1 out also
# has a log written where nginx may not write. The reload says that all is well: that is
# only the signal to the nginx that runs, which refuses and goes on as before.
set -eu
. "${0%/*}/lib.sh"

logging() {
  [ "$1" = 100 ] && echo "access_log /var/log/nginx/v2.log;" || echo "access_log off;"
}
take_up() {
  refresh "$1"
  sleep 5 # kubelet brings the file meanwhile
  for pod in $(fronts); do reload "$pod"; done
}

. "${0%/*}/flow.sh"
